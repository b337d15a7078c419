/**
 * Looks at queues now and then: how many jobs are in each channel.
 *
 * @module
 */

import type { Jobs } from "../jobs/definitions.ts";
import { RelevoError } from "../errors.ts";
import { type Channel, CHANNELS, type QueueInfo } from "../jobs/job.ts";
import { checkKnown, checkTime, wrongType } from "../options.ts";
import type { Relay } from "../relay/relay.ts";
import { type Runtime, systemRuntime } from "../runtime.ts";

/** Milliseconds between two looks (seed 003). */
export const INTERVAL: number = 15_000;
/** Queues that are counted at a time. */
const AT_A_TIME = 50;

/** The part of a relay that is asked. */
export type Counted = Pick<Relay<Jobs>, "queues" | "info">;

/** How queues are watched. */
export interface WatchOptions {
  /** Milliseconds from one look to the next. Default 15,000. */
  readonly interval?: number | undefined;
  /** Told each count: a gauge with the labels queue and channel. */
  readonly set: (queue: string, channel: Channel, value: number) => void;
  /** Told of a look that failed; nothing is set then, so that no gauge shows a zero that is none. Default: ignored. */
  readonly failed?: ((error: unknown) => void) | undefined;
  /** Clock and timers; for tests. Default: the real ones. */
  readonly runtime?: Runtime | undefined;
}

/** The counts of a queue. */
export interface Reading extends QueueInfo {
  readonly queue: string;
}

/**
 * Sets a gauge to the counts of every queue, at once and then in every interval, until it is disposed of or the relay
 * is closed (seed 003).
 *
 * @throws {TypeError | RangeError} for a value that is no relay, and options that are wrong.
 */
export function watchQueues(relay: Counted, options: WatchOptions): Disposable {
  const action = "watch queues";
  checkKnown(action, options, ["interval", "set", "failed", "runtime"]);
  const { interval = INTERVAL, set, failed = () => undefined, runtime = systemRuntime() } = options;
  checkTime(action, "interval", interval, 1);
  for (const [name, value] of Object.entries({ set, failed })) {
    if (typeof value !== "function") throw wrongType(action, `'${name}'`, "a function", value);
  }
  const { queues, info }: Partial<Counted> = Object(relay);
  if (typeof queues !== "function" || typeof info !== "function") {
    throw wrongType(action, "its first argument", "a relay", relay);
  }
  return look(relay, runtime, interval, (readings) => {
    for (const { queue, ...counts } of readings) {
      for (const channel of CHANNELS) set(queue, channel, counts[channel]);
    }
  }, failed);
}

/** Reads every queue again and again. */
export function look(
  relay: Counted,
  runtime: Runtime,
  interval: number,
  tell: (readings: readonly Reading[]) => void,
  failed: (error: unknown) => void,
): Disposable {
  const over = new AbortController();
  const { signal } = over;
  const loop = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        const readings = await read(relay, signal);
        if (!signal.aborted) tell(readings);
      } catch (error) {
        if (signal.aborted) return;
        failed(error);
        if (error instanceof RelevoError && error.code === "RELAY_CLOSED") return;
      }
      await runtime.sleep(interval, signal).catch(() => undefined);
    }
  };
  // Everything in it is caught, but for errors of the caller's own functions: that ends the process as it should.
  void loop();
  return { [Symbol.dispose]: () => over.abort(new Error("the watch is over")) };
}

async function read(relay: Counted, signal: AbortSignal): Promise<readonly Reading[]> {
  const queues = await relay.queues({ signal });
  const readings: Reading[] = [];
  for (let from = 0; from < queues.length; from += AT_A_TIME) {
    const some = queues.slice(from, from + AT_A_TIME);
    readings.push(
      ...await Promise.all(some.map(async (queue) => ({ queue, ...await relay.info(queue, { signal }) }))),
    );
  }
  return readings;
}
