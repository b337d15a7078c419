/**
 * Every contender by the name that the plan and the table call it.
 *
 * @module
 */

import { array, rows } from "./ceilings.ts";
import type { Contender } from "./contender.ts";
import { jetstream } from "./nats_ceiling.ts";
import { fastq, plainjob, pQueue } from "./peers.ts";
import { stream } from "./redis_ceiling.ts";
import { beeQueue, bullmq, groupmq } from "./redis_peers.ts";
import { relevoMemory, relevoNats, relevoRedis, relevoSqlite } from "./relevo.ts";

/** By name. */
export const contenders: Readonly<Record<string, Contender>> = {
  "relevo memory": relevoMemory,
  "relevo sqlite": relevoSqlite,
  "relevo redis": relevoRedis,
  "relevo nats": relevoNats,
  "fastq": fastq,
  "p-queue": pQueue,
  "plainjob": plainjob,
  "bullmq": bullmq,
  "bee-queue": beeQueue,
  "groupmq": groupmq,
  "ceiling array": array,
  "ceiling rows": rows,
  "ceiling stream": stream,
  "ceiling jetstream": jetstream,
};
