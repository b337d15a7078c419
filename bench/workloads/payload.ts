/**
 * What the size of a payload costs: dispatch and drain, in CPU of this process and of the server.
 *
 * @module
 */

import { payloadOf, STOPPED } from "../contenders/contender.ts";
import { meterOf } from "../servers/meter.ts";
import { dispatch } from "./flow.ts";
import { costOf, cpuFigures, type Figures, type Setting } from "./workload.ts";

const SIZES: readonly (readonly [name: string, bytes: number])[] = [
  ["100 B", 100],
  ["10 KB", 10_000],
  ["100 KB", 100_000],
  ["400 KB", 400_000],
];
/** Calls in flight, and bytes of them. */
const IN_FLIGHT = 500;
const BYTES_IN_FLIGHT = 8_000_000;
/** Handlers at once. */
const CONCURRENCY = 100;

/** Each size with as many jobs as the count of bytes allows. */
export async function payload({ contender, count, place }: Setting): Promise<Figures> {
  const figures: Record<string, number> = {};
  const options = place();
  const [subject, meter] = [await contender.open(options), options.address && await meterOf(options.address)];
  // The first one warms up.
  for (const [index, [name, bytes]] of [["warm", 100] as const, ...SIZES].entries()) {
    const jobs = Math.min(count("jobs"), Math.ceil(count("bytes") / bytes));
    const inFlight = Math.min(IN_FLIGHT, Math.ceil(BYTES_IN_FLIGHT / bytes));
    const sent = await costOf(
      jobs,
      meter,
      () => dispatch(subject, jobs, inFlight, (number) => payloadOf(number, bytes)),
    );
    let stop = STOPPED;
    const drained = await costOf(jobs, meter, async () => {
      stop = await subject.work(jobs, CONCURRENCY);
    });
    await stop();
    if (index > 0) {
      Object.assign(figures, cpuFigures(`dispatch, ${name},`, sent), cpuFigures(`drain, ${name},`, drained));
    }
  }
  await subject.close();
  await meter?.close();
  return figures;
}
