/**
 * The server's clock, by which due times are judged: read for each connection and every two minutes, and carried on by
 * the monotonic clock of this process, so that no jump of its wall clock moves a job. Two good clocks drift apart by as
 * much as 12 ms in two minutes, and an answer travels for a while: so it is known between which two instants the
 * server's clock is. By it the times of deaths are told, with which the subjects of dead jobs end: those of one process
 * in their order, and no two the same.
 *
 * @module
 */

import type { Link } from "../client/link.ts";
import type { Runtime } from "../../../runtime.ts";
import type { Deaths, ServerClock } from "./context.ts";
import { timeOf } from "./message.ts";
import { streamInfo } from "./read.ts";

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
    const { ts } = await streamInfo(link, stream, until);
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

const TIME_DIGITS = 9;
const COUNT_DIGITS = 4;
const MOST = 36 ** COUNT_DIGITS;
const OWN_DIGITS = 8;

/** Makes the times of one process's deaths. */
export function createDeaths(runtime: Runtime): Deaths {
  let own: string | undefined;
  let time = 0;
  let count = 0;
  return {
    next(now) {
      const current = Math.floor(now);
      count = current > time ? 0 : count + 1;
      time = Math.max(time, current);
      if (count === MOST) {
        time++;
        count = 0;
      }
      own ??= runtime.id().slice(-OWN_DIGITS);
      return { time, stamp: digits(time, TIME_DIGITS) + digits(count, COUNT_DIGITS) + own };
    },
  };
}

/** When a job died, as its subject says. */
export function timeOfDeath(stamp: string): number {
  return Number.parseInt(stamp.slice(0, TIME_DIGITS), 36);
}

function digits(value: number, length: number): string {
  return value.toString(36).padStart(length, "0");
}
