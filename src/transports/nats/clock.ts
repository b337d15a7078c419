/**
 * The server's clock, by which due times are judged: read for each connection and every two minutes, and carried on by
 * the monotonic clock of this process, so that no jump of the wall clock here moves a job. It is not ahead of the
 * server's, as it runs slower by as much as two good clocks drift apart: 12 ms in two minutes.
 *
 * @module
 */

import type { Link } from "./link.ts";
import { timeOf } from "./wire.ts";

/** Tells the server's time. */
export interface ServerClock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Takes the instant that stands in an answer which has just come, if the clock was not read on this connection. */
  tell(instant: string): void;
  /** Reads it anew, if that was long ago. */
  renew(place: ClockPlace, until: number): Promise<void>;
}

/** Where the clock is read. */
export interface ClockPlace {
  readonly stream: string;
}

/** Milliseconds after which the clock is read anew, and the part of them that clocks drift apart. */
const AGE = 110_000;
const DRIFT = 1e-4;

/** Makes a clock that shows the process's time until it is set. */
export function createServerClock(link: Link): ServerClock {
  const { runtime } = link.settings;
  let ahead = runtime.now() - runtime.monotonic();
  let setAt = 0;
  /** When it was read, on the monotonic clock. */
  let readAt = runtime.monotonic();
  let setting: Promise<void> | undefined;

  function show(instant: string, epoch: number): void {
    readAt = runtime.monotonic();
    ahead = timeOf(instant) - readAt;
    setAt = epoch;
  }

  async function read({ stream }: ClockPlace, until: number): Promise<void> {
    const { epoch } = link;
    const { ts } = await link.api<{ readonly ts: string }>(`STREAM.INFO.${stream}`, undefined, until);
    show(ts, epoch);
  }

  async function readOnce(place: ClockPlace, until: number): Promise<void> {
    setting ??= read(place, until).finally(() => setting = undefined);
    await setting;
  }

  return {
    now() {
      const now = runtime.monotonic();
      return ahead + now - (now - readAt) * DRIFT;
    },
    tell(instant) {
      if (setAt !== link.epoch) show(instant, link.epoch);
    },
    async renew(place, until) {
      if (runtime.monotonic() >= readAt + AGE) await readOnce(place, until);
    },
  };
}
