/**
 * What only a server makes possible or worth asking: several worker processes, and many jobs that are due at once.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { payloadOf, type Subject } from "../contenders/contender.ts";
import { bulk } from "./flow.ts";
import { type Figures, rate, type Setting } from "./workload.ts";

const PROCESSES = [1, 2, 4, 8];
/** Handlers at once in each process. */
const CONCURRENCY = 100;
/** More jobs than warm up, so that no process is left without: others may have taken in advance. */
const SPARE = 5_000;
/** Milliseconds between two looks at what is left. */
const LOOK = 5;

/** The same jobs, drained by 1, 2, 4 and 8 processes that are warm. */
export async function workers({ contender, name, count, place }: Setting): Promise<Figures> {
  const [jobs, warm, options] = [count("jobs"), count("warm"), place()];
  const figures: Record<string, number> = {};
  const subject = await contender.open(options);
  for (const length of PROCESSES) {
    await bulk(subject, length * (warm + SPARE));
    const children = await Promise.all(
      Array.from({ length }, () => child({ name, options, warm, concurrency: CONCURRENCY })),
    );
    const rest = jobs - await leftOf(subject);
    await bulk(subject, Math.max(0, rest));
    const total = await leftOf(subject);
    const drained = await rate(total, async () => {
      for (const { worker } of children) worker.send("go");
      while (await leftOf(subject) > 0) await setTimeout(LOOK);
    });
    await Promise.all(children.map(({ end }) => end()));
    figures[`${length} processes, µs/job`] = 1e6 / drained;
  }
  await subject.close();
  return figures;
}

async function leftOf({ left }: Subject): Promise<number> {
  if (left === undefined) throw new Error("This contender cannot say what is left");
  return await left();
}

/** A worker process that has done its first jobs, and begins with the others when it is told to. */
async function child(task: object): Promise<{ worker: ChildProcess; end(): Promise<void> }> {
  const worker = spawn(process.execPath, [
    "--disable-warning=ExperimentalWarning",
    fileURLToPath(new URL("../drainer.ts", import.meta.url)),
    JSON.stringify(task),
  ], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const failed = (code: number | null): void => {
    throw new Error(`The worker process ended with ${code}`);
  };
  worker.once("exit", failed);
  await once(worker, "message");
  return {
    worker,
    async end() {
      worker.off("exit", failed);
      worker.disconnect();
      await once(worker, "exit");
    },
  };
}

/** All due at one instant, with a worker that waits for them. */
export async function delayed({ contender, count, place }: Setting): Promise<Figures> {
  const [jobs, lead] = [count("jobs"), count("lead")];
  const subject = await contender.open(place());
  const { later, listen } = subject;
  if (later === undefined || listen === undefined) throw new Error("This contender knows no delay");
  const entries: number[] = [];
  const stop = await listen(() => void entries.push(Date.now()), CONCURRENCY);
  const due = Date.now() + lead;
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < jobs) await later(payloadOf(next++), due);
  };
  await Promise.all(Array.from({ length: 500 }, lane));
  const early = due - Date.now();
  if (early < 0) throw new RangeError(`Dispatching took ${-early} ms too long`);
  await setTimeout(early);
  while (entries.length < jobs) await setTimeout(LOOK);
  while (await leftOf(subject) > 0) await setTimeout(LOOK);
  const end = Date.now();
  await stop();
  await subject.close();
  return {
    "first, ms after due": (entries[0] ?? Number.NaN) - due,
    "all, ms after due": end - due,
    "handled/s": jobs / (end - due) * 1_000,
  };
}
