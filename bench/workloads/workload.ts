/**
 * What a workload gets and gives.
 *
 * @module
 */

import process from "node:process";
import type { Contender, OpenOptions } from "../contenders/contender.ts";
import type { Meter } from "../servers/meter.ts";

/** What a workload works with. */
export interface Setting {
  readonly contender: Contender;
  /** The contender's name. */
  readonly name: string;
  /** The count of this name. */
  count(name: string): number;
  /** Where to keep jobs: in an empty folder, which is removed at the end, or on the server. */
  place(): OpenOptions;
}

/** Figures by name; the unit is part of the name. */
export type Figures = Readonly<Record<string, number>>;

/** Measures one contender once. */
export type Workload = (setting: Setting) => Promise<Figures>;

/** Collects garbage, so that no contender pays for another's. */
export function collect(): void {
  const gc: unknown = Reflect.get(globalThis, "gc");
  if (typeof gc === "function") gc();
}

/** How many of `count` a second, when they took as long as this work takes. */
export async function rate(count: number, work: () => unknown): Promise<number> {
  collect();
  const start = performance.now();
  await work();
  return count / (performance.now() - start) * 1_000;
}

/** What a job costs. */
export interface Cost {
  readonly perSecond: number;
  /** Microseconds of CPU: of this process with all its threads, and, where there is a server, of that. */
  readonly client: number;
  readonly server: number | undefined;
}

/** What one of `count` jobs costs, when all take as much as this work takes. */
export async function costOf(count: number, meter: Meter | undefined, work: () => unknown): Promise<Cost> {
  collect();
  const server = await meter?.cpu();
  const [start, before] = [performance.now(), process.cpuUsage()];
  await work();
  const [{ user, system }, end] = [process.cpuUsage(before), performance.now()];
  const after = await meter?.cpu();
  return {
    perSecond: count / (end - start) * 1_000,
    client: (user + system) / count,
    server: server === undefined || after === undefined ? undefined : (after - server) / count,
  };
}

/** The CPU of a cost as figures: both sides together, and each where there are two. */
export function cpuFigures(name: string, { client, server }: Cost): Figures {
  if (server === undefined || Number.isNaN(server)) return { [`${name} µs`]: client };
  return {
    [`${name} µs`]: client + server,
    [`${name} client µs`]: client,
    [`${name} server µs`]: server,
  };
}
