/**
 * dispatch, serial, bulk and drain, in jobs a second and in CPU: one after another on one store, which ends empty.
 *
 * @module
 */

import { type Payload, payloadOf, STOPPED, type Subject } from "../contenders/contender.ts";
import { meterOf } from "../servers/meter.ts";
import { type Cost, costOf, cpuFigures, type Figures, type Setting } from "./workload.ts";

/** Calls in flight. */
const IN_FLIGHT = 500;
/** Jobs of one bulk call. */
const BULK = 500;
/** Handlers at once. */
const CONCURRENCY = 100;
/** Serial calls that warm up: as many as it takes until what a call costs no longer falls. */
const WARM_SERIAL = 3_000;

/** Measures after a smaller round that warms up. */
export async function flow({ contender, count, place }: Setting): Promise<Figures> {
  const [jobs, serial, warm] = [count("jobs"), count("serial"), count("warm")];
  let figures: Figures = {};
  for (const [many, few] of [[warm, Math.min(serial, WARM_SERIAL)], [jobs, serial]] as const) {
    const options = place();
    const [subject, meter] = [
      await contender.open(options),
      options.address && await meterOf(options.address),
    ];
    const dispatched = await costOf(many, meter, () => dispatch(subject, many, IN_FLIGHT));
    const serially = await costOf(few, meter, () => dispatch(subject, few, 1));
    const together = await costOf(many, meter, () => bulk(subject, many));
    const total = 2 * many + few;
    let stop = STOPPED;
    const drained = await costOf(total, meter, async () => {
      stop = await subject.work(total, CONCURRENCY);
    });
    await stop();
    figures = figuresOf({ dispatch: dispatched, serial: serially, bulk: together, drain: drained });
    await subject.close();
    await meter?.close();
  }
  return figures;
}

function figuresOf(costs: Readonly<Record<"dispatch" | "serial" | "bulk" | "drain", Cost>>): Figures {
  const { dispatch, drain } = costs;
  const figures: Record<string, number> = {};
  for (const [name, { perSecond }] of Object.entries(costs)) figures[`${name}/s`] = perSecond;
  figures["dispatch and drain/s"] = 1 / (1 / dispatch.perSecond + 1 / drain.perSecond);
  for (const [name, cost] of Object.entries(costs)) Object.assign(figures, cpuFigures(name, cost));
  return figures;
}

/** One call per job. */
export async function dispatch(
  subject: Subject,
  count: number,
  inFlight: number,
  payload: (number: number) => Payload = payloadOf,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await subject.one(payload(next++));
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
