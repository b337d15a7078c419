/**
 * Every contender by the name that the plan and the table call it.
 *
 * @module
 */

import { array, rows } from "./ceilings.ts";
import type { Contender } from "./contender.ts";
import { fastq, plainjob, pQueue } from "./peers.ts";
import { relevoMemory, relevoSqlite } from "./relevo.ts";

/** By name. */
export const contenders: Readonly<Record<string, Contender>> = {
  "relevo memory": relevoMemory,
  "relevo sqlite": relevoSqlite,
  "fastq": fastq,
  "p-queue": pQueue,
  "plainjob": plainjob,
  "ceiling array": array,
  "ceiling rows": rows,
};
