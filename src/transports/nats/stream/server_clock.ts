/**
 * The server's clock, by which due times are judged: read for each connection and every two minutes, and carried on by
 * the monotonic clock of this process, so that no jump of its wall clock moves a job. Two good clocks drift apart by as
 * much as 12 ms in two minutes, and an answer travels for a while: so it is known between which two instants the
 * server's clock is.
 *
 * @module
 */

import type { Link } from "../client/link.ts";
import type { ServerClock } from "./context.ts";
import { timeOf } from "./message.ts";

/** Milliseconds after which the clock is read anew, and the part of them that clocks drift apart. */
const AGE = 110_000;
const DRIFT = 1e-4;

/** Makes a clock that shows the process's time until it is read. */
export function createServerClock(link: Link): ServerClock {
  const { runtime } = link.settings;
  let ahead = runtime.now() - runtime.monotonic();
  /** Milliseconds that the answer may have travelled. */
  let unsure = 0;
  let setAt = 0;
  /** When it was read, on the monotonic clock. */
  let readAt = runtime.monotonic();
  let reading: Promise<void> | undefined;

  function show(instant: string, sentAt: number, epoch: number): void {
    readAt = runtime.monotonic();
    ahead = timeOf(instant) - readAt;
    unsure = readAt - sentAt + 1;
    setAt = epoch;
  }

  async function read(stream: string, until: number): Promise<void> {
    const { epoch } = link;
    const sentAt = runtime.monotonic();
    const { ts } = await link.api<{ readonly ts: string }>(`STREAM.INFO.${stream}`, undefined, until);
    show(ts, sentAt, epoch);
  }

  return {
    now() {
      const now = runtime.monotonic();
      return ahead + now - (now - readAt) * DRIFT;
    },
    latest() {
      const now = runtime.monotonic();
      return ahead + unsure + now + (now - readAt) * DRIFT;
    },
    tell(instant, sentAt) {
      if (setAt !== link.epoch) show(instant, sentAt, link.epoch);
    },
    async renew({ stream }, until) {
      if (runtime.monotonic() < readAt + AGE) return;
      reading ??= read(stream, until).finally(() => reading = undefined);
      await reading;
    },
  };
}
