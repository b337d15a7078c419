/**
 * From the call of dispatch to the entry into the handler, in milliseconds: an idle worker, one job at a time.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { setTimeout } from "node:timers/promises";
import { payloadOf, type Subject } from "../contenders/contender.ts";
import { median, quantile } from "../lib/stats.ts";
import type { Figures, Setting } from "./workload.ts";

/** Jobs before the first that counts. */
const WARM = 50;
/** Milliseconds between two jobs: enough for the worker to settle and to wait again. */
const PAUSE = 3;
/** Milliseconds between two jobs that go to another process. */
const BUSY_PAUSE = 20;

/** In one process. */
export async function latency({ contender, count, place }: Setting): Promise<Figures> {
  const subject = await contender.open(place());
  let entered = (): void => {};
  const stop = await subject.listen?.(() => entered());
  const times: number[] = [];
  for (let number = -WARM; number < count("samples"); number++) {
    await setTimeout(PAUSE);
    const arrival = new Promise<number>((resolve) => {
      entered = () => resolve(performance.now());
    });
    const start = performance.now();
    const stored = subject.one(payloadOf(number));
    const end = await arrival;
    await stored;
    if (number >= 0) times.push(end - start);
  }
  await stop?.();
  await subject.close();
  return { "p50 ms": median(times), "p99 ms": quantile(times, 0.99) };
}

/**
 * From one process to another: with a job now and then, and after a long quiet. For the latter many databases are quiet
 * at the same time, each with a worker in the other process, as a minute would not do for one.
 */
export async function processes({ contender, name, count, place }: Setting): Promise<Figures> {
  const places = Array.from({ length: count("pairs") }, place);
  const worker = spawn(process.execPath, [
    fileURLToPath(new URL("../listener.ts", import.meta.url)),
    JSON.stringify({ name, places }),
  ], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  let entered: (at: bigint) => void = () => {};
  const ready = new Promise<void>((resolve, reject) => {
    worker.on("message", (at) => at === "ready" ? resolve() : entered(BigInt(String(at))));
    worker.once("exit", (code) => reject(new Error(`The listener ended with ${code}`)));
  });
  await ready;
  const subjects = await Promise.all(places.map((place) => contender.open(place)));
  const send = async (subject: Subject): Promise<number> => {
    const arrival = new Promise<bigint>((resolve) => {
      entered = resolve;
    });
    // The monotonic clock is the same in all processes of a machine.
    const start = process.hrtime.bigint();
    await subject.one(payloadOf(0));
    return Number(await arrival - start) / 1e6;
  };
  const busy: number[] = [];
  for (let number = 0; number < count("samples"); number++) {
    await setTimeout(BUSY_PAUSE * (0.5 + Math.random()));
    for (const subject of subjects.slice(0, 1)) busy.push(await send(subject));
  }
  await setTimeout(count("quiet"));
  const quiet: number[] = [];
  for (const subject of subjects) {
    await setTimeout(50 * Math.random());
    quiet.push(await send(subject));
  }
  for (const subject of subjects) await subject.close();
  worker.removeAllListeners("exit");
  worker.disconnect();
  await once(worker, "exit");
  return {
    "busy p50 ms": median(busy),
    "busy p99 ms": quantile(busy, 0.99),
    "quiet p50 ms": median(quiet),
    "quiet max ms": Math.max(...quiet),
  };
}
