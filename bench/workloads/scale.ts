/**
 * The cost per job, in microseconds, with 1, 10, 100 and 1,000 handlers at once, and with many jobs waiting.
 *
 * @module
 */

import { setImmediate } from "node:timers/promises";
import { STOPPED, type Subject } from "../contenders/contender.ts";
import { bulk, dispatch } from "./flow.ts";
import { type Figures, rate, type Setting } from "./workload.ts";

const HANDLERS = [1, 10, 100, 1_000];
const HANDLERS_OF_BACKLOG = 100;

/** The same jobs, handled by more and more at once. */
export async function handlers({ contender, count, place }: Setting): Promise<Figures> {
  const jobs = count("jobs");
  const figures: Record<string, number> = {};
  for (const [index, handlers] of [100, ...HANDLERS].entries()) {
    const subject = await contender.open(place());
    await bulk(subject, jobs);
    let stop = STOPPED;
    const drained = await rate(jobs, async () => {
      stop = await subject.work(jobs, handlers);
    });
    await stop();
    await subject.close();
    // The first one warms up.
    if (index > 0) figures[`drain at ${handlers} µs/job`] = 1e6 / drained;
  }
  return figures;
}

/** Dispatch and drain of some jobs while others wait. */
export async function backlog({ contender, count, place }: Setting): Promise<Figures> {
  const [jobs, waiting] = [count("jobs"), count("waiting")];
  const subject = await contender.open(place());
  await dispatch(subject, jobs, 500);
  const stop = await subject.work(jobs, HANDLERS_OF_BACKLOG);
  await stop();
  await bulk(subject, waiting);
  const dispatched = await rate(jobs, () => dispatch(subject, jobs, 500));
  const { drained, counted } = await drainSome(subject, jobs);
  await subject.close();
  return {
    [`dispatch at ${waiting} µs/job`]: 1e6 / dispatched,
    [`drain at ${waiting} µs/job`]: 1e6 / drained,
    [`count at ${waiting} ms`]: counted,
  };
}

/**
 * Until the last is handled. That all are settled is counted behind that, as a count may cost something for each job that
 * waits; so what one takes is told for itself.
 */
async function drainSome(
  { listen, left }: Subject,
  jobs: number,
): Promise<{ readonly drained: number; readonly counted: number }> {
  if (listen === undefined || left === undefined) {
    throw new Error("This contender cannot work beside a backlog");
  }
  const begun = performance.now();
  const before = await left();
  const counted = performance.now() - begun;
  let stop = STOPPED;
  const drained = await rate(jobs, async () => {
    const { promise: all, resolve: enough } = Promise.withResolvers<void>();
    let handled = 0;
    stop = await listen(() => {
      if (++handled === jobs) enough();
    }, HANDLERS_OF_BACKLOG);
    await all;
  });
  // What it takes on before it is stopped is done as well.
  while (await left() > before - jobs) await setImmediate();
  await stop();
  return { drained, counted };
}
