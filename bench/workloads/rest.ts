/**
 * What a waiting job weighs, what idling costs, and what the disk takes to make a write last.
 *
 * @module
 */

import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import * as v from "valibot";
import { createRelay } from "../../mod.ts";
import { connect } from "../../src/connect.ts";
import { sqliteUrl } from "../contenders/relevo.ts";
import { median, quantile } from "../lib/stats.ts";
import { dispatch } from "./flow.ts";
import { collect, type Figures, type Setting } from "./workload.ts";

/** Bytes of heap and buffers per waiting job. */
export async function memory({ contender, durability, count, folder }: Setting): Promise<Figures> {
  const jobs = count("jobs");
  const subject = await contender.open({ folder: folder(), durability });
  await dispatch(subject, 1_000, 500);
  const before = used();
  await dispatch(subject, jobs, 500);
  const bytes = (used() - before) / jobs;
  await subject.work(jobs + 1_000, 100);
  await subject.close();
  return { "bytes/job": bytes };
}

function used(): number {
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** The part of a core that an idle worker takes, once the start is over. */
export async function idle({ durability, count, folder }: Setting): Promise<Figures> {
  const names = Array.from({ length: count("queues") }, (_, index) => `queue-${index}`);
  const jobs = Object.fromEntries(names.map((queue) => [`job.${queue}`, { schema: v.any(), queue }]));
  const relay = createRelay({ jobs, transport: await connect(sqliteUrl(folder(), durability)) });
  for (const queue of names) relay.handle(`job.${queue}`, () => {});
  const running = relay.run();
  await setTimeout(1_000);
  const start = performance.now();
  const before = process.cpuUsage();
  await setTimeout(count("ms"));
  const { user, system } = process.cpuUsage(before);
  const part = (user + system) / 1_000 / (performance.now() - start);
  await relay.close();
  await running;
  return { [`${names.length} queues, % of a core`]: part * 100 };
}

/** Milliseconds of an fsync behind a write of one page, where the databases are. */
export function fsync({ count, folder }: Setting): Promise<Figures> {
  const file = openSync(join(folder(), "fsync"), "w");
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
