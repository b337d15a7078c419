/**
 * The cost per job, in microseconds, with 1, 10, 100 and 1,000 handlers at once, and with many jobs waiting.
 *
 * @module
 */

import { STOPPED } from "../contenders/contender.ts";
import { bulk, dispatch } from "./flow.ts";
import { type Figures, rate, type Setting } from "./workload.ts";

const HANDLERS = [1, 10, 100, 1_000];

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
  let stop = await subject.work(jobs, 100);
  await stop();
  await bulk(subject, waiting);
  const dispatched = await rate(jobs, () => dispatch(subject, jobs, 500));
  const drained = await rate(jobs, async () => {
    stop = await subject.work(jobs, 100);
  });
  await stop();
  await subject.close();
  return {
    [`dispatch at ${waiting} µs/job`]: 1e6 / dispatched,
    [`drain at ${waiting} µs/job`]: 1e6 / drained,
  };
}
