/**
 * What a waiting job weighs, what idling costs, and what the disk takes to make a write last.
 *
 * @module
 */

import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { median, quantile } from "../lib/stats.ts";
import { meterOf } from "../servers/meter.ts";
import { bulk, dispatch } from "./flow.ts";
import { collect, type Figures, type Setting } from "./workload.ts";

/** Bytes of heap and buffers per waiting job. */
export async function memory({ contender, count, place }: Setting): Promise<Figures> {
  const jobs = count("jobs");
  const subject = await contender.open(place());
  await dispatch(subject, 1_000, 500);
  const before = used();
  await dispatch(subject, jobs, 500);
  const bytes = (used() - before) / jobs;
  const stop = await subject.work(jobs + 1_000, 100);
  await stop();
  await subject.close();
  return { "bytes/job": bytes };
}

function used(): number {
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** The part of a core that an idle worker takes, once the start is over, and what it asks of its server. */
export async function idle({ contender, count, place }: Setting): Promise<Figures> {
  if (contender.idle === undefined) throw new Error("This contender cannot idle");
  const [queues, options] = [count("queues"), place()];
  const end = await contender.idle(options, queues);
  const meter = options.address && await meterOf(options.address);
  await setTimeout(1_000);
  const [start, before, first] = [performance.now(), process.cpuUsage(), await meter?.read()];
  await setTimeout(count("ms"));
  const [last, { user, system }] = [await meter?.read(), process.cpuUsage(before)];
  const ms = performance.now() - start;
  await end();
  await meter?.close();
  return {
    [`${queues} queues, % of a core`]: (user + system) / 1_000 / ms * 100,
    ...first && last && {
      [`${queues} queues, requests/s`]: (last.requests - first.requests) / ms * 1_000,
      [`${queues} queues, connections`]: last.connections,
    },
  };
}

/** Bytes of memory, and of stored messages, that a waiting job takes in the server: dispatched one by one, and in bulk. */
export async function weight({ contender, count, place }: Setting): Promise<Figures> {
  const [jobs, options] = [count("jobs"), place()];
  const subject = await contender.open(options);
  if (options.address === undefined) throw new Error("Only a server can be weighed");
  const meter = await meterOf(options.address);
  await dispatch(subject, 1_000, 500);
  const before = await meter.read();
  await dispatch(subject, jobs, 500);
  const after = await meter.read();
  await bulk(subject, jobs);
  const last = await meter.read();
  await subject.close();
  await meter.close();
  return {
    "memory, bytes/job": (after.memory - before.memory) / jobs,
    "stored, bytes/job": (after.disk - before.disk) / jobs,
    "memory in bulk, bytes/job": (last.memory - after.memory) / jobs,
    "stored in bulk, bytes/job": (last.disk - after.disk) / jobs,
  };
}

/** Milliseconds of an fsync behind a write of one page, where the databases are. */
export function fsync({ count, place }: Setting): Promise<Figures> {
  const file = openSync(join(place().folder, "fsync"), "w");
  const page = new Uint8Array(4_096);
  const times: number[] = [];
  for (let number = 0; number < count("samples"); number++) {
    writeSync(file, page);
    const start = performance.now();
    fsyncSync(file);
    times.push(performance.now() - start);
  }
  closeSync(file);
  return Promise.resolve({ "p50 ms": median(times), "p99 ms": quantile(times, 0.99) });
}
