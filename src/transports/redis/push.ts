/**
 * Push: jobs packed and sent, a script for as many as the server takes at once.
 *
 * @module
 */

import { errorOf } from "../../errors.ts";
import type { Call, Pushed, PushJob } from "../../jobs/exchange.ts";
import { partsOf } from "../../names.ts";
import { type Context, faultIn, learn, replies } from "./context.ts";
import type { Reply, Script } from "./client/link.ts";
import type { Packable } from "./layout/pack.ts";
import { HUGE, pushHeavy } from "./push_heavy.ts";
import { type Plain, plainOf } from "./push_plain.ts";
import { spreadOf } from "./push_spread.ts";
import type { HeavyScripts } from "./scripts/heavy.ts";
import { HEAD } from "./scripts/lua.ts";

/** Jobs of one script, unless they are to be stored all or none: 1,000 take some 3 ms. */
const MAX_JOBS = 1_000;
/** Bytes of one script's jobs, unless they are to be stored all or none, and of one of its arguments. */
const MAX_CHUNK = 8 * 1024 * 1024;
/**
 * Bytes of a job, in the mean, from which on each is an argument by itself and not a part of a list: at 400 KB that
 * costs a server a third less.
 */
const HEAVY = 2 * 1024;
/** Bytes of a job beside its payload and metadata. */
const OVERHEAD = 128;

/** When a job may run, for a script. */
export const AT = 1;
export const DELAY = 2;
/** What is added where the job's name is to be in its field's name. */
const NAMED = 4;

/** Jobs that travel together. */
interface Chunk {
  readonly queues: string[];
  /** The number of each queue's key, from 1. */
  readonly numbers: Map<string, number>;
  /** Indexes in the batch, in order. */
  readonly indexes: number[];
  /** Lists of jobs, one of them an argument: for each job the number of its key and its index in the batch. */
  readonly lists: number[][];
  bytes: number;
  timed: boolean;
  windowed: boolean;
}

/** The scripts of a push. */
export interface PushScripts extends Pick<HeavyScripts, "noteHeavy"> {
  readonly push: Script;
  readonly pushPlain: Script;
  readonly pushSpread: Script;
}

/** Stores jobs. This client polls foretold queues by itself, and need not be notified of their jobs. */
export async function pushJobs(
  context: Context,
  scripts: PushScripts,
  jobs: readonly PushJob[],
  call: Call & { readonly atomic?: boolean },
  foretold: ReadonlySet<string> = new Set(),
): Promise<readonly Pushed[]> {
  call.signal?.throwIfAborted();
  const atomic = call.atomic === true;
  const results: Pushed[] = jobs.map(() => "stored");
  const chunks = chunksOf(context, jobs, atomic);
  if (atomic && chunks.length > 1) {
    throw new RangeError(
      `Cannot push jobs all or none as they must be of one queue in a Cluster: current number is ${chunks.length}`,
    );
  }
  const answers = chunks.map((chunk) => send(context, scripts, jobs, chunk, call, foretold, results));
  const sent = Promise.allSettled(answers);
  const queues = chunks.flatMap((chunk) => chunk.queues);
  const settled = await (context.registry.knows(queues) ? sent : context.registry.follow(sent));
  const failures = settled.flatMap((one) => one.status === "rejected" ? [one.reason] : []);
  if (failures.length > 0 && failures.length === settled.length) throw failures[0];
  if (atomic && results.some((result) => result !== "stored")) return withheld(results);
  return results;
}

/** The results of a batch that was not stored, as not all of it could be. */
function withheld(results: readonly Pushed[]): readonly Pushed[] {
  return results.map((result) => result === "stored" ? "withheld" : result);
}

function chunksOf(
  { keys, link }: Context,
  jobs: readonly PushJob[],
  atomic: boolean,
): readonly Chunk[] {
  const chunks: Chunk[] = [];
  const open = new Map<string, Chunk>();
  for (const [index, job] of jobs.entries()) {
    const size = job.payload.length + job.meta.length + OVERHEAD;
    // A topic and its groups are in one slot, as are all parts of a queue.
    const slot = link.clustered ? partsOf(job.queue).topic ?? keys.base(job.queue) : "";
    let chunk = open.get(slot);
    if (chunk === undefined || (!atomic && isFull(chunk, size))) {
      chunk = {
        queues: [],
        numbers: new Map(),
        indexes: [],
        lists: [[]],
        bytes: 0,
        timed: false,
        windowed: false,
      };
      open.set(slot, chunk);
      chunks.push(chunk);
    }
    add(chunk, index, size, job.queue);
    if (job.at !== undefined || (job.delay !== undefined && job.delay > 0)) chunk.timed = true;
    if (job.idWindow !== undefined) chunk.windowed = true;
  }
  return chunks;
}

function isFull(chunk: Chunk, size: number): boolean {
  return chunk.indexes.length >= MAX_JOBS || chunk.bytes + size > MAX_CHUNK;
}

function add(chunk: Chunk, index: number, size: number, queue: string): void {
  let key = chunk.numbers.get(queue);
  if (key === undefined) chunk.numbers.set(queue, key = chunk.queues.push(queue));
  if (chunk.bytes + size > MAX_CHUNK * chunk.lists.length) chunk.lists.push([]);
  chunk.lists[chunk.lists.length - 1]?.push(key, index);
  chunk.bytes += size;
  chunk.indexes.push(index);
}

/** A list of jobs as the script reads it. */
function packedJobs({ names }: Context, list: readonly number[], jobs: readonly PushJob[]): Packable {
  const flat: Packable[] = [];
  for (let n = 0; n < list.length; n += 2) {
    const job = jobs[list[n + 1] ?? -1];
    if (job === undefined) continue;
    const [kind, time] = whenOf(job);
    const named = names.fieldOf(job.queue, job.name, 1) !== HEAD;
    flat.push(
      list[n],
      job.id,
      job.name,
      job.meta,
      job.payload,
      named ? kind + NAMED : kind,
      time,
      job.idWindow === undefined ? -1 : Math.ceil(job.idWindow),
    );
  }
  return flat;
}

/** When a job may run, for a script: never a fraction of a millisecond early, and never before the epoch. */
export function whenOf(
  { at, delay }: { readonly at?: number | undefined; readonly delay?: number | undefined },
): readonly [kind: number, time: number] {
  if (at !== undefined) return [AT, Math.max(0, Math.ceil(at))];
  return delay === undefined || delay <= 0 ? [0, 0] : [DELAY, Math.ceil(delay)];
}

/** Sends a chunk, and writes down the results of its jobs. */
async function send(
  context: Context,
  scripts: PushScripts,
  jobs: readonly PushJob[],
  chunk: Chunk,
  call: Call & { readonly atomic?: boolean },
  foretold: ReadonlySet<string>,
  results: Pushed[],
): Promise<void> {
  const { queues, indexes } = chunk;
  const looks = queues.every((queue) => foretold.has(queue)) ? context.instance : "";
  const plain = context.proven.has("push") ? plainIn(context, chunk, jobs) : undefined;
  try {
    if (plain === undefined) await sendAny(context, scripts, jobs, chunk, looks, call, results);
    else if (!isHuge(chunk, call) || !await sendHuge(context, scripts, plain, chunk, looks, call, results)) {
      await sendPlain(context, scripts.pushPlain, plain, chunk, looks, call, results);
    }
    learn(context, "push");
  } catch (error) {
    learn(context, "push", error);
    for (const index of indexes) results[index] = errorOf(error);
    throw error;
  }
}

/** Whether all may run at once, have generated ids, and fit into one list. */
function isPlain({ lists, timed, windowed }: Chunk): boolean {
  return lists.length === 1 && !timed && !windowed;
}

/** The jobs where all are plain, and of one queue that is no topic's. */
function plainIn({ names }: Context, chunk: Chunk, jobs: readonly PushJob[]): Plain | undefined {
  const [queue = "", ...others] = chunk.queues;
  if (others.length > 0 || !isPlain(chunk) || partsOf(queue).topic !== undefined) return undefined;
  return plainOf(names, queue, chunk.indexes, jobs);
}

/** Whether payloads are so large that no script should copy them, and one may be stored without the others. */
function isHuge({ indexes, bytes }: Chunk, { atomic }: { readonly atomic?: boolean }): boolean {
  return bytes / indexes.length > HUGE && (atomic !== true || indexes.length === 1);
}

/** Sends jobs without a script; answers whether that was possible. */
async function sendHuge(
  context: Context,
  scripts: PushScripts,
  plain: Plain,
  { queues: [queue = ""], indexes }: Chunk,
  looks: string,
  call: Call,
  results: Pushed[],
): Promise<boolean> {
  const answers = await pushHeavy(context, scripts.noteHeavy, queue, plain, looks, call);
  if (answers === undefined) return false;
  const failures: unknown[] = [];
  for (const [n, index] of indexes.entries()) {
    const answer = answers[n];
    if (answer?.status !== "rejected") continue;
    failures.push(answer.reason);
    results[index] = errorOf(answer.reason);
  }
  if (failures.length === indexes.length) throw failures[0];
  await context.registry.enter([queue], call);
  return true;
}

async function sendPlain(
  context: Context,
  script: Script,
  { field, flat, runs }: Plain,
  { queues: [queue = ""], indexes, bytes }: Chunk,
  looks: string,
  call: Call,
  results: Pushed[],
): Promise<void> {
  const { link, keys, pack, registry } = context;
  // A list has a price of its own, which a lone job need not pay, and copies its jobs several times.
  const apart = indexes.length === 1 || bytes / indexes.length > HEAVY;
  const args = apart ? [looks, "", field, ...flat] : [looks, pack(flat), field, ...runs];
  const answer = await link.run(script, [keys.base(queue)], args, call);
  const fault = faultIn(context, script, answer);
  if (fault !== undefined) { for (const index of indexes) results[index] = fault; }
  else await registry.enter([queue], call, answer === 1);
}

async function sendAny(
  context: Context,
  scripts: PushScripts,
  jobs: readonly PushJob[],
  chunk: Chunk,
  looks: string,
  call: Call & { readonly atomic?: boolean },
  results: Pushed[],
): Promise<void> {
  const { link, keys, names, pack, registry, proven } = context;
  const { queues, indexes, lists, timed, windowed } = chunk;
  const probing = proven.has("push") ? "" : "p";
  const [list = []] = lists;
  const spread = probing || call.atomic || !isPlain(chunk) ? undefined : spreadOf(names, queues, list, jobs);
  const script = spread === undefined ? scripts.push : scripts.pushSpread;
  const flags = `${call.atomic ? "a" : ""}${timed ? "d" : ""}${windowed ? "w" : ""}${probing}`;
  const args = spread === undefined
    ? [flags, looks, ...lists.map((list) => pack(packedJobs(context, list, jobs)))]
    : [looks, pack(spread)];
  const answer = await link.run(script, queues.map((queue) => keys.base(queue)), args, call);
  const [refused, fresh, faults] = replies(answer);
  for (const number of replies(refused)) {
    const index = typeof number === "number" ? indexes[number - 1] : undefined;
    if (index !== undefined) results[index] = "duplicate";
  }
  const bad = faultsIn(context, script, queues, replies(faults));
  if (bad.size > 0) { for (const index of indexes) blame(jobs[index], index, bad, results); }
  if (indexes.some((index) => results[index] === "stored")) {
    await registry.enter(queues.filter((queue) => !bad.has(queue)), call);
  }
  const begun = newQueues(queues, replies(fresh));
  if (begun.length > 0) await registry.enter(begun, call, true);
}

function blame(
  job: PushJob | undefined,
  index: number,
  bad: ReadonlyMap<string, Error>,
  results: Pushed[],
): void {
  const fault = job === undefined ? undefined : bad.get(job.queue);
  if (fault !== undefined) results[index] = fault;
}

/** The errors of queues, by their names; an answer has a number and a text for each. */
export function faultsIn(
  context: Context,
  script: Script,
  queues: readonly string[],
  faults: readonly Reply[],
): ReadonlyMap<string, Error> {
  const bad = new Map<string, Error>();
  for (let n = 0; n < faults.length; n += 2) {
    const number = faults[n];
    const queue = typeof number === "number" ? queues[number - 1] : undefined;
    const fault = faultIn(context, script, faults[n + 1]);
    if (queue !== undefined && fault !== undefined) bad.set(queue, fault);
  }
  return bad;
}

/** The names of queues that began with this push; an answer has a number and a group for each. */
export function newQueues(queues: readonly string[], fresh: readonly Reply[]): readonly string[] {
  const names: string[] = [];
  for (let n = 0; n < fresh.length; n += 2) {
    const number = fresh[n];
    const group = fresh[n + 1];
    const queue = typeof number === "number" ? queues[number - 1] : undefined;
    if (queue === undefined) continue;
    names.push(group instanceof Uint8Array ? queue + new TextDecoder().decode(group) : queue);
  }
  return names;
}
