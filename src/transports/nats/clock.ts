/**
 * The server's clock, by which due times are judged: read once for each connection, and carried on by the monotonic
 * clock of this process, so that no jump of the wall clock here moves a job. It is never ahead of the server's.
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
  set(place: { readonly stream: string; readonly base: string }, until: number): Promise<void>;
}

/** Milliseconds after which an unused consumer of ours goes by itself. */
const BRIEF = 5_000;

/** Makes a clock that shows the process's time until it is set. */
export function createServerClock(link: Link): ServerClock {
  const { runtime } = link.settings;
  let ahead = runtime.now() - runtime.monotonic();
  let setAt = 0;
  let setting: Promise<void> | undefined;

  function show(instant: string, epoch: number): void {
    ahead = timeOf(instant) - runtime.monotonic();
    setAt = epoch;
  }

  /** The moment at which a consumer was made is the one instant that servers before 2.10 tell. */
  async function read(stream: string, base: string, until: number): Promise<void> {
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

  return {
    now: () => ahead + runtime.monotonic(),
    tell(instant) {
      if (setAt !== link.epoch) show(instant, link.epoch);
    },
    async set({ stream, base }, until) {
      if (setAt === link.epoch) return;
      setting ??= read(stream, base, until).finally(() => setting = undefined);
      await setting;
    },
  };
}
