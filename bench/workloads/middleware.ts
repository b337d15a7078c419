/**
 * What middlewares cost: draining the same jobs with none and with three that pass everything on. CPU of the whole
 * process, as servers and disks take their own time.
 *
 * @module
 */

import process from "node:process";
import * as v from "valibot";
import { createRelay, type Middleware } from "../../mod.ts";
import { connect } from "../../src/connect.ts";
import { collect, type Figures, type Setting } from "./workload.ts";

const BULK = 500;
const HANDLERS = 100;
/** Each variant is measured so often, in turns, and told by its least: what else the machine does only adds. */
const TURNS = 3;

const passing: Middleware = { run: (next) => () => next() };

/** Microseconds of CPU a drained job. */
export async function middleware({ contender, count, place }: Setting): Promise<Figures> {
  const { url } = contender;
  if (url === undefined) throw new Error("This contender has no middlewares");
  const jobs = count("jobs");
  const variants = { "none, µs": [], "three, µs": [passing, passing, passing] };
  const figures: Record<string, number> = {};
  for (let turn = 0; turn <= TURNS; turn++) {
    for (const [title, use] of Object.entries<Middleware[]>(variants)) {
      const cost = await drainOf(url(place()), jobs, use);
      // The first turn warms up.
      if (turn > 0) figures[title] = Math.min(figures[title] ?? Infinity, cost);
    }
  }
  return figures;
}

async function drainOf(url: string, jobs: number, use: readonly Middleware[]): Promise<number> {
  const relay = createRelay({ jobs: { job: v.string() }, transport: await connect(url), use });
  relay.handle("job", async () => {});
  for (let done = 0; done < jobs; done += BULK) {
    const size = Math.min(BULK, jobs - done);
    await relay.dispatchMany(Array.from({ length: size }, () => ({ name: "job", payload: "x" })));
  }
  collect();
  const start = process.cpuUsage();
  const { completed } = await relay.drain({ concurrency: HANDLERS });
  const { user, system } = process.cpuUsage(start);
  await relay.close();
  if (completed !== jobs) throw new Error(`Of ${jobs} jobs ${completed} were done`);
  return (user + system) / jobs;
}
