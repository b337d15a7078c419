/**
 * One worker of many queues: what a job costs where its neighbours are in other queues.
 *
 * @module
 */

import { payloadOf, STOPPED, type Subject } from "../contenders/contender.ts";
import { meterOf } from "../servers/meter.ts";
import { dispatch } from "./flow.ts";
import { costOf, cpuFigures, type Figures, type Setting } from "./workload.ts";

/** Calls in flight. */
const IN_FLIGHT = 500;
/** Handlers at once. */
const CONCURRENCY = 100;

/** Dispatch and drain of jobs that are spread evenly over the queues, and jobs that come alone to a worker that waits. */
export async function queues({ contender, count, place }: Setting): Promise<Figures> {
  if (contender.spread === undefined) throw new Error("This contender has one queue");
  const [queues, jobs, alone, options] = [count("queues"), count("jobs"), count("alone"), place()];
  const subject = await contender.spread(options, queues);
  const meter = options.address && await meterOf(options.address);
  await dispatch(subject, jobs, IN_FLIGHT);
  await (await subject.work(jobs, CONCURRENCY))();
  const dispatched = await costOf(jobs, meter, () => dispatch(subject, jobs, IN_FLIGHT));
  let stop = STOPPED;
  const drained = await costOf(jobs, meter, async () => {
    stop = await subject.work(jobs, CONCURRENCY);
  });
  await stop();
  const lone = await loneJobs(subject, alone, (work) => costOf(alone, meter, work));
  await subject.close();
  await meter?.close();
  const figures = { dispatch: dispatched, drain: drained, lone };
  return Object.fromEntries(
    Object.entries(figures).flatMap(([name, cost]) =>
      Object.entries(cpuFigures(`${queues} queues, ${name}`, cost))
    ),
  );
}

/** One job after another, each in the next queue, for a worker that waits for all of them. */
async function loneJobs<Found>(
  { listen, one }: Subject,
  jobs: number,
  measured: (work: () => Promise<void>) => Promise<Found>,
): Promise<Found> {
  let entered = (): void => {};
  const stop = await listen?.(() => entered(), CONCURRENCY);
  const found = await measured(async () => {
    for (let number = 0; number < jobs; number++) {
      const { promise: arrival, resolve } = Promise.withResolvers<void>();
      entered = resolve;
      await one(payloadOf(number));
      await arrival;
    }
  });
  await stop?.();
  return found;
}
