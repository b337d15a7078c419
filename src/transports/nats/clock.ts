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
  /** Reads the server's clock anew, if it was not read on this connection. */
  set(place: ClockPlace, until: number): Promise<void>;
  /** Reads it anew, if that was long ago. */
  renew(place: ClockPlace, until: number): Promise<void>;
}

/** Where the clock is read. */
export interface ClockPlace {
  readonly stream: string;
  readonly base: string;
}

/** Milliseconds after which an unused consumer of ours goes by itself. */
const BRIEF = 5_000;
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

  async function read({ stream, base }: ClockPlace, until: number): Promise<void> {
    const { epoch } = link;
    const { ts } = await link.api<{ readonly ts?: string }>(`STREAM.INFO.${stream}`, undefined, until);
    if (ts === undefined) await readByConsumer(stream, base, until);
    else show(ts, epoch);
  }

  /** The moment at which a consumer was made is the one instant that servers before 2.10 tell. */
  async function readByConsumer(stream: string, base: string, until: number): Promise<void> {
    const { epoch } = link;
    const name = runtime.id();
    const config = {
      filter_subject: `${base}clock.${name}`,
      ack_policy: "explicit",
      inactive_threshold: BRIEF * 1_000_000,
      mem_storage: true,
    };
    const made = await link.api<{ readonly name: string; readonly created: string }>(
      `CONSUMER.CREATE.${stream}`,
      { stream_name: stream, config },
      until,
    );
    show(made.created, epoch);
    await link.api(`CONSUMER.DELETE.${stream}.${made.name}`, undefined, until);
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
    async set(place, until) {
      if (setAt !== link.epoch) await readOnce(place, until);
    },
    async renew(place, until) {
      if (runtime.monotonic() >= readAt + AGE) await readOnce(place, until);
    },
  };
}
