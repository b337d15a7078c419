/**
 * Names in JetStream: a stream for each queue or topic, a subject for each job.
 *
 * `<prefix>.<queue>.` is the base of a queue, `<prefix>.<topic>.q.<group>.` that of a topic's group. Behind it follow
 * `j.<state>.<minute>.<id>` for a live job, `x.<channel>.<id>.<death>` for a dead one and `in.` for the messages that
 * other programs publish. The state is `w` waiting, `b` back (released, or lost and to be run again), `d` delayed, `i`
 * an id that stays taken though its job has ended. The minute is that in which a delayed job is due, else 0.
 *
 * @module
 */

import { partsOf } from "../../../names.ts";
import type { DeadChannel } from "../../../jobs/job.ts";

/** Where a job is that can be reserved: each has a consumer of its own. */
export type PullState = "w" | "b";
/** Where a live job is. */
export type LiveState = PullState | "d";

/** The token of each dead channel. */
export const DEAD_TOKEN: Readonly<Record<DeadChannel, "f" | "t">> = { failed: "f", timeout: "t" };

/** What stands between the base and the id in the subject of a job that is due. */
const LIVE: Readonly<Record<PullState, string>> = { w: "j.w.0.", b: "j.b.0." };
/** The beginning of the id of a foreign entry; its number follows. */
const RAW = "#";
/** Milliseconds of the minute that a delayed job's subject names. */
export const MINUTE = 60_000;
const RADIX = 36;
/** Bytes of a queue's name that are kept: with the longest prefix a stream's name stays below the server's 255. */
const MAX_KEPT = 170;
const HASH_DIGITS = 8;
/** Bytes of a block of the hash, and its rounds. */
const BLOCK = 64;
const ROUNDS = 64;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * A queue's name as a part of a stream's name: letters, digits, `-` and `_` are kept, any other character becomes `_`,
 * and a name that was changed or cut ends in the first digits of its hash. So does a name that has such an ending
 * itself, as it would be another's (seed 001).
 */
export function safeName(queue: string): string {
  const kept = queue.replace(/[^\p{L}\p{Nd}_-]/gu, "_");
  const cut = cutTo(kept, MAX_KEPT);
  if (cut === queue && !/_[0-9a-f]{8}$/.test(queue)) return queue;
  return `${cut}_${sha256(encoder.encode(queue)).slice(0, HASH_DIGITS)}`;
}

function cutTo(text: string, most: number): string {
  if (text.length * 3 <= most) return text;
  let bytes = 0;
  let kept = "";
  for (const char of text) {
    bytes += encoder.encode(char).length;
    if (bytes > most) return kept;
    kept += char;
  }
  return kept;
}

/** The names of a queue in JetStream. */
export interface QueueNames {
  /** The queue whose stream this is: the topic's own for a group's. */
  readonly owner: string;
  readonly stream: string;
  /** The beginning of the stream's subjects, the last dot included. */
  readonly root: string;
  /** The beginning of the queue's subjects, the last dot included. */
  readonly base: string;
  /** The end of the names of the queue's consumers; empty for a plain queue and for a topic's own. */
  readonly suffix: string;
}

/**
 * The names of a queue. A topic's groups share its stream, so that a job's copies are stored together or not at all.
 */
export function namesOf(prefix: string, queue: string): QueueNames {
  const { topic, group = "" } = partsOf(queue);
  const owner = topic === undefined ? queue : `${topic}@`;
  const token = safeName(owner);
  const root = `${prefix}.${token}.`;
  const stream = `${prefix}_${token}`;
  if (group === "") return { owner, stream, root, base: root, suffix: "" };
  const member = safeName(group);
  return { owner, stream, root, base: `${root}q.${member}.`, suffix: `_${member}` };
}

/** An id as one token of a subject: a byte that a token cannot hold is written as `=` and its hexadecimal digits. */
export function idToken(id: string): string {
  if (/^[A-Za-z0-9_-]+$/.test(id)) return id;
  let token = "";
  for (const byte of encoder.encode(id)) {
    const char = String.fromCharCode(byte);
    token += /[A-Za-z0-9_-]/.test(char) ? char : `=${byte.toString(16).padStart(2, "0")}`;
  }
  return token;
}

/** The id that a token stands for. */
export function idOfToken(token: string): string {
  if (!token.includes("=")) return token;
  const bytes: number[] = [];
  for (let i = 0; i < token.length; i++) {
    if (token[i] === "=") {
      bytes.push(Number.parseInt(token.slice(i + 1, i + 3), 16));
      i += 2;
    } else {
      bytes.push(token.charCodeAt(i));
    }
  }
  return decoder.decode(Uint8Array.from(bytes));
}

/** The id of an entry that another program put in. */
export function rawId(seq: number): string {
  return `${RAW}${seq}`;
}

/** The number of the entry that an id of that form names. */
export function seqOfRawId(id: string): number | undefined {
  return /^#[1-9]\d{0,15}$/.test(id) ? Number(id.slice(1)) : undefined;
}

/** The token of the minute of an instant. */
export function minuteToken(instant: number): string {
  return Math.floor(instant / MINUTE).toString(RADIX);
}

/** The subject of a live job; of a delayed one with its due time. */
export function liveSubject(base: string, state: LiveState | "i", id: string, due?: number): string {
  return `${base}j.${state}.${due === undefined ? "0" : minuteToken(due)}.${idToken(id)}`;
}

/** Whether a subject is the one of a live job that is due. It is asked for each job that comes, so makes no text. */
export function isLiveSubject(base: string, subject: string, state: PullState, id: string): boolean {
  const head = LIVE[state];
  const token = idToken(id);
  return subject.length === base.length + head.length + token.length && subject.startsWith(base) &&
    subject.startsWith(head, base.length) && subject.endsWith(token);
}

/**
 * All states of one id. Each conditional write of an id names this very text: the server keeps writes that are under
 * way apart by it.
 */
export function idFilter(base: string, id: string): string {
  return `${base}j.*.*.${idToken(id)}`;
}

/** The subjects that the consumer of a state hands out. */
export function pullFilters(base: string, state: PullState): readonly string[] {
  return state === "w" ? [`${base}j.w.>`, `${base}in.>`] : [`${base}j.b.>`];
}

/** The subjects of the jobs that are delayed. */
export function delayedFilter(base: string): string {
  return `${base}j.d.>`;
}

/** The state of the job that a subject names; undefined for one that is no live job's of this queue. */
export function stateOfSubject(base: string, subject: string): LiveState | "i" | undefined {
  if (subject.startsWith(`${base}in.`)) return "w";
  const state = subject.startsWith(`${base}j.`) ? subject[base.length + 2] : undefined;
  return state === "w" || state === "b" || state === "d" || state === "i" ? state : undefined;
}

/** Whether a subject is one on which other programs publish. */
export function isRawSubject(base: string, subject: string): boolean {
  return subject.startsWith(`${base}in.`);
}

/** The subject of a dead job. */
export function deadSubject(base: string, channel: DeadChannel, id: string, stamp: string): string {
  return `${base}x.${DEAD_TOKEN[channel]}.${idToken(id)}.${stamp}`;
}

/** The subjects of a channel's dead jobs, or of all (`*`): those of an id, or of any. */
export function deadFilter(base: string, channel: DeadChannel | "*", id?: string): string {
  const token = channel === "*" ? channel : DEAD_TOKEN[channel];
  return `${base}x.${token}.${id === undefined ? "" : `${idToken(id)}.`}>`;
}

/** Whether a subject is a dead job's. */
export function isDeadSubject(base: string, subject: string): boolean {
  return subject.startsWith(`${base}x.`);
}

/**
 * The SHA-256 of some bytes, in hexadecimal: Web Crypto has it too, but only with a promise, and a name is wanted at once.
 */
function sha256(bytes: Uint8Array): string {
  const { initial, keys } = constants();
  const state = Int32Array.from(initial);
  const padded = pad(bytes);
  for (let at = 0; at < padded.length; at += BLOCK) {
    compress(state, keys, new DataView(padded.buffer, at, BLOCK));
  }
  return [...state].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}

/** The first 32 bits of the fractions of the roots of primes, square ones for the state and cube ones for the rounds. */
function constants(): { readonly initial: readonly number[]; readonly keys: readonly number[] } {
  const primes: number[] = [];
  for (let n = 2; primes.length < ROUNDS; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n);
  const fraction = (root: number): number => ((root - Math.floor(root)) * 2 ** 32) | 0;
  return {
    initial: primes.slice(0, 8).map((n) => fraction(Math.sqrt(n))),
    keys: primes.map((n) => fraction(Math.cbrt(n))),
  };
}

function pad(bytes: Uint8Array): Uint8Array {
  const padded = new Uint8Array(Math.ceil((bytes.length + 9) / BLOCK) * BLOCK);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  new DataView(padded.buffer).setUint32(padded.length - 4, bytes.length * 8);
  return padded;
}

function compress(state: Int32Array, keys: readonly number[], block: DataView): void {
  const words = new Int32Array(ROUNDS);
  for (let i = 0; i < 16; i++) words[i] = block.getInt32(i * 4);
  const word = (i: number): number => words[i] ?? 0;
  for (let i = 16; i < ROUNDS; i++) {
    const small0 = turn(word(i - 15), 7) ^ turn(word(i - 15), 18) ^ (word(i - 15) >>> 3);
    const small1 = turn(word(i - 2), 17) ^ turn(word(i - 2), 19) ^ (word(i - 2) >>> 10);
    words[i] = word(i - 16) + small0 + word(i - 7) + small1;
  }
  let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state;
  for (let i = 0; i < ROUNDS; i++) {
    const big1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
    const first = (h + big1 + ((e & f) ^ (~e & g)) + (keys[i] ?? 0) + word(i)) | 0;
    const big0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22);
    const second = (big0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
  }
  for (const [i, value] of [a, b, c, d, e, f, g, h].entries()) state[i] = (state[i] ?? 0) + value;
}

function turn(value: number, by: number): number {
  return (value >>> by) | (value << (32 - by));
}
