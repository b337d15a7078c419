/**
 * Parts that are read out of a message as it lies in the client's memory, which it shares with all that came in one
 * piece: our header line, without reading the others, and the body, without keeping its neighbours.
 *
 * @module
 */

import type { NatsMessage } from "../client/connection.ts";
import { HEADER } from "./message.ts";

const LF = 10;
const CR = 13;
const encoder = new TextEncoder();
const decoder = new TextDecoder();
/**
 * The first line of a header, which holds nothing else; behind it follow the header lines of a message that was stored.
 */
const VERSION = encoder.encode("NATS/1.0");
const NAME = encoder.encode(`${HEADER}:`);

/** Bytes of memory that small bodies share, and the part of it that one may take to be small. */
const SLAB = 4 * 1024;
const SMALL_PART = 1 / 4;
/** A body that is this part of the memory in which it came may keep that. */
const MOST_PART = 1 / 2;
/** Bytes of memory at most that is kept until the next message comes. */
const MOST_KEPT = 128 * 1024;

/** Reads the parts of messages. */
export interface Reader {
  /** Our header line; empty when there is none. */
  headerOf(message: NatsMessage, body: Uint8Array): string;
  /** A body that may be kept. Memory of its own would cost a small one more than all else that is done with it. */
  keep(body: Uint8Array): Uint8Array;
}

/** Makes a reader. */
export function createReader(): Reader {
  /** The memory in which the last message came, as the next one most likely does. */
  let last: Uint8Array = new Uint8Array(0);
  let slab = new Uint8Array(0);
  let used = 0;

  function memoryOf({ buffer }: Uint8Array): Uint8Array {
    if (buffer === last.buffer) return last;
    const memory = new Uint8Array(buffer);
    if (memory.length <= MOST_KEPT) last = memory;
    return memory;
  }

  return {
    headerOf: (message, body) =>
      lineBefore(memoryOf(body), body.byteOffset) ?? message.headers?.get(HEADER) ?? "",
    keep(body) {
      const { length } = body;
      if (length >= body.buffer.byteLength * MOST_PART) return body;
      if (length > SLAB * SMALL_PART) return new Uint8Array(body);
      if (used + length > slab.length) {
        slab = new Uint8Array(SLAB);
        used = 0;
      }
      slab.set(body, used);
      used += length;
      return slab.subarray(used - length, used);
    },
  };
}

/** Our header line, read from the bytes before a body; undefined when these are no header lines. */
function lineBefore(bytes: Uint8Array, byteOffset: number): string | undefined {
  let end = byteOffset - 4;
  if (!isEndOfLine(bytes, end) || !isEndOfLine(bytes, end + 2)) return undefined;
  let from = 0;
  let to = 0;
  while (end > 0) {
    const start = bytes.lastIndexOf(LF, end) + 1;
    if (end - start === VERSION.length && isAt(bytes, start, VERSION)) {
      return to === 0 ? "" : decoder.decode(bytes.subarray(from, to)).trim();
    }
    if (isAt(bytes, start, NAME)) {
      from = start + NAME.length;
      to = end;
    }
    end = start - 2;
    if (!isEndOfLine(bytes, end)) return undefined;
  }
  return undefined;
}

function isEndOfLine(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === CR && bytes[at + 1] === LF;
}

function isAt(bytes: Uint8Array, start: number, word: Uint8Array): boolean {
  for (let i = 0; i < word.length; i++) if (bytes[start + i] !== word[i]) return false;
  return true;
}
