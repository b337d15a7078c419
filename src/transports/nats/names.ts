/**
 * What things are called in JetStream: a stream for each queue, a subject for each job.
 *
 * `<prefix>.<queue>.<channel>.<id>`, the channel one letter: `w` waiting, `b` back (released, or lost and to be run
 * again), `d` delayed, `f` failed and `t` timeout (behind the id when it died), `i` an id that a caller chose.
 *
 * @module
 */

import type { DeadChannel } from "../../job.ts";
import { sha256 } from "./sha256.ts";

/** Where a job is that will run: each has a consumer of its own. */
export type Line = "w" | "b" | "d";

/** The letter of each dead channel. */
export const DEAD_LETTER: Readonly<Record<DeadChannel, "f" | "t">> = { failed: "f", timeout: "t" };

const MAX_KEPT = 200;
const HASH_DIGITS = 8;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * A queue's name as a part of a stream's name: letters, digits, `-` and `_` are kept, any other character becomes `_`,
 * and what was changed or cut ends in the first digits of its hash.
 */
export function safeName(queue: string): string {
  const kept = queue.replace(/[^A-Za-z0-9_-]/gu, "_");
  if (kept === queue && kept.length <= MAX_KEPT) return kept;
  return `${kept.slice(0, MAX_KEPT)}_${sha256(encoder.encode(queue)).slice(0, HASH_DIGITS)}`;
}

/** An id as one token of a subject: what a token cannot hold is written as `=` and the byte in hexadecimal. */
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
