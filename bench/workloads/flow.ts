/**
 * dispatch, serial, bulk and drain, in jobs a second: one after another on one store, which ends empty.
 *
 * @module
 */

import { payloadOf, STOPPED, type Subject } from "../contenders/contender.ts";
import { type Figures, rate, type Setting } from "./workload.ts";

/** Calls in flight. */
const IN_FLIGHT = 500;
/** Jobs of one bulk call. */
const BULK = 500;
/** Handlers at once. */
const CONCURRENCY = 100;

/** Measures after a smaller round that warms up. */
export async function flow({ contender, count, place }: Setting): Promise<Figures> {
  const [jobs, serial, warm] = [count("jobs"), count("serial"), count("warm")];
  let figures: Figures = {};
  for (const [many, few] of [[warm, Math.min(serial, 200)], [jobs, serial]] as const) {
    const subject = await contender.open(place());
    const dispatched = await rate(many, () => dispatch(subject, many, IN_FLIGHT));
    const serially = await rate(few, () => dispatch(subject, few, 1));
    const together = await rate(many, () => bulk(subject, many));
    const total = 2 * many + few;
    let stop = STOPPED;
    const drained = await rate(total, async () => {
      stop = await subject.work(total, CONCURRENCY);
    });
    await stop();
    figures = {
      "dispatch/s": dispatched,
      "serial/s": serially,
      "bulk/s": together,
      "drain/s": drained,
      "dispatch and drain/s": 1 / (1 / dispatched + 1 / drained),
    };
    await subject.close();
  }
  return figures;
}

/** One call per job. */
export async function dispatch(subject: Subject, count: number, inFlight: number): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await subject.one(payloadOf(next++));
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
}

/** One call for 500 jobs, one call after another. */
export async function bulk(subject: Subject, count: number): Promise<void> {
  for (let start = 0; start < count; start += BULK) {
    const length = Math.min(BULK, count - start);
    await subject.many(Array.from({ length }, (_, index) => payloadOf(start + index)));
  }
}
