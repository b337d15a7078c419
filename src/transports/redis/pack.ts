/**
 * MessagePack as the server's Lua reads and writes it: a whole batch is one argument, a whole answer one text, as
 * each argument and each element of an answer has its price. Of its texts the server knows the old kind only, which
 * may hold any bytes.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Reply } from "./link.ts";

/** What can be packed. Numbers are integers; absent is nil. */
export type Packable = string | number | undefined | Uint8Array | readonly Packable[];

/** Packs values into memory of its own, which it uses again. */
export type Packer = (value: Packable) => Uint8Array;

const FIRST_SIZE = 16 * 1024;
/** Memory above this is given back at once. */
const KEPT_SIZE = 1024 * 1024;
/** Up to here a text's head is of two bytes whatever is in it: a UTF-16 unit takes at most three bytes. */
const SHORT = 0xffff / 3;
/** The longest text whose units are looked at one by one. */
const BRIEF = 48;

const NIL = 0xc0;
const FALSE = 0xc2;
const FLOAT32 = 0xca;
const FLOAT64 = 0xcb;
const UINT8 = 0xcc;
const UINT16 = 0xcd;
const UINT32 = 0xce;
const UINT64 = 0xcf;
const INT8 = 0xd0;
const INT16 = 0xd1;
const INT32 = 0xd2;
const INT64 = 0xd3;
/** The server writes it; what is sent begins at 16 bits. */
const RAW8 = 0xd9;
const RAW16 = 0xda;
const RAW32 = 0xdb;
const ARRAY16 = 0xdc;
const ARRAY32 = 0xdd;

/** Makes a packer. */
export function createPacker(): Packer {
  let memory = Buffer.allocUnsafeSlow(FIRST_SIZE);
  let end = 0;

  function grow(more: number): void {
    if (end + more <= memory.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * memory.length, end + more));
    memory.copy(larger, 0, 0, end);
    memory = larger;
  }

  function putText(text: string): void {
    const { length } = text;
    grow(5 + 3 * length);
    if (length > SHORT) {
      const size = memory.write(text, end + 5, "utf8");
      memory[end] = RAW32;
      memory.writeUInt32BE(size, end + 1);
      end += 5 + size;
      return;
    }
    const start = end + 3;
    const size = length <= BRIEF ? putBrief(text, start) : memory.write(text, start, "utf8");
    memory[end] = RAW16;
    memory[end + 1] = size >> 8;
    memory[end + 2] = size & 255;
    end = start + size;
  }

  function putBrief(text: string, start: number): number {
    for (let n = 0; n < text.length; n++) {
      const unit = text.charCodeAt(n);
      if (unit > 127) return memory.write(text, start, "utf8");
      memory[start + n] = unit;
    }
    return text.length;
  }

  function putBytes(bytes: Uint8Array): void {
    grow(5 + bytes.length);
    if (bytes.length > 0xffff) {
      memory[end] = RAW32;
      memory.writeUInt32BE(bytes.length, end + 1);
      end += 5;
    } else {
      memory[end] = RAW16;
      memory[end + 1] = bytes.length >> 8;
      memory[end + 2] = bytes.length & 255;
      end += 3;
    }
    memory.set(bytes, end);
    end += bytes.length;
  }

  function putNumber(value: number): void {
    grow(9);
    if (value >= 0 && value < 128) memory[end++] = value;
    else end = memory.writeDoubleBE(value, memory.writeUInt8(FLOAT64, end));
  }

  function put(value: Packable): void {
    if (typeof value === "string") putText(value);
    else if (typeof value === "number") putNumber(value);
    else if (value === undefined) {
      grow(1);
      memory[end++] = NIL;
    } else if (value instanceof Uint8Array) putBytes(value);
    else {
      grow(5);
      end = memory.writeUInt32BE(value.length, memory.writeUInt8(ARRAY32, end));
      for (const item of value) put(item);
    }
  }

  return (value) => {
    end = 0;
    put(value);
    // A copy, as the client may keep what it is given for a while.
    const packed = Buffer.from(memory.subarray(0, end));
    if (memory.length > KEPT_SIZE) memory = Buffer.allocUnsafeSlow(FIRST_SIZE);
    return packed;
  };
}

/** Reads what a script packed, part after part; whoever reads knows what must come. */
export interface Reader {
  /** Whether a list comes; where none does, what stands there instead is passed over. */
  isList(): boolean;
  /** How many parts the list has that comes. */
  length(): number;
  number(): number;
  text(): string;
  /** A window into what was packed. */
  bytes(): Uint8Array;
  /** Which of these words comes, by its place; -1 for another text. */
  word(words: readonly string[]): number;
  /** The same text as last time costs no new one. */
  repeated(): string;
}

/** Begins to read. */
export function createReader(packed: Uint8Array): Reader {
  const memory = Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength);
  let at = 0;
  let before = "";
  let beforeStart = 0;
  let beforeEnd = 0;

  function wrong(wanted: string): TypeError {
    return new TypeError(`Cannot read an answer as ${wanted} must come: current head is ${memory[at]}`);
  }

  /** Passes over the head of a text; its length. */
  function head(): number {
    const first = memory[at] ?? NIL;
    if (first >= 0xa0 && first < 0xc0) {
      at++;
      return first & 31;
    }
    if (first === RAW8) {
      at += 2;
      return memory[at - 1] ?? 0;
    }
    if (first === RAW16) {
      at += 3;
      return memory.readUInt16BE(at - 2);
    }
    if (first === RAW32) {
      at += 5;
      return memory.readUInt32BE(at - 4);
    }
    throw wrong("a text");
  }

  function isSame(start: number, end: number): boolean {
    if (end - start !== beforeEnd - beforeStart) return false;
    for (let n = start, m = beforeStart; n < end; n++, m++) if (memory[n] !== memory[m]) return false;
    return true;
  }

  function isWord(word: string, start: number): boolean {
    for (let n = 0; n < word.length; n++) if (memory[start + n] !== word.charCodeAt(n)) return false;
    return true;
  }

  function wide(): number {
    const first = memory[at] ?? NIL;
    at++;
    switch (first) {
      case FLOAT32:
        at += 4;
        return memory.readFloatBE(at - 4);
      case FLOAT64:
        at += 8;
        return memory.readDoubleBE(at - 8);
      case UINT8:
        at += 1;
        return memory.readUInt8(at - 1);
      case UINT16:
        at += 2;
        return memory.readUInt16BE(at - 2);
      case UINT32:
        at += 4;
        return memory.readUInt32BE(at - 4);
      case UINT64:
        at += 8;
        return memory.readUInt32BE(at - 8) * 2 ** 32 + memory.readUInt32BE(at - 4);
      case INT8:
        at += 1;
        return memory.readInt8(at - 1);
      case INT16:
        at += 2;
        return memory.readInt16BE(at - 2);
      case INT32:
        at += 4;
        return memory.readInt32BE(at - 4);
      case INT64:
        at += 8;
        return memory.readInt32BE(at - 8) * 2 ** 32 + memory.readUInt32BE(at - 4);
      default:
        at--;
        throw wrong("a number");
    }
  }

  const reader: Reader = {
    isList() {
      const first = memory[at] ?? NIL;
      if ((first >= 0x90 && first < 0xa0) || first === ARRAY16 || first === ARRAY32) return true;
      if (first === FALSE || first === NIL) at++;
      else reader.number();
      return false;
    },
    length() {
      const first = memory[at] ?? NIL;
      if (first >= 0x90 && first < 0xa0) {
        at++;
        return first & 15;
      }
      if (first === ARRAY16) {
        at += 3;
        return memory.readUInt16BE(at - 2);
      }
      if (first === ARRAY32) {
        at += 5;
        return memory.readUInt32BE(at - 4);
      }
      throw wrong("a list");
    },
    number() {
      const first = memory[at] ?? NIL;
      if (first < 0x80) {
        at++;
        return first;
      }
      if (first >= 0xe0) {
        at++;
        return first - 256;
      }
      return wide();
    },
    text() {
      const length = head();
      at += length;
      return memory.toString("utf8", at - length, at);
    },
    bytes() {
      const length = head();
      at += length;
      return new Uint8Array(memory.buffer, memory.byteOffset + at - length, length);
    },
    word(words) {
      const length = head();
      const start = at;
      at += length;
      for (let n = 0; n < words.length; n++) {
        const word = words[n];
        if (word !== undefined && word.length === length && isWord(word, start)) return n;
      }
      return -1;
    },
    repeated() {
      const length = head();
      const start = at;
      at += length;
      if (before === "" || !isSame(start, at)) {
        before = memory.toString("utf8", start, at);
        beforeStart = start;
        beforeEnd = at;
      }
      return before;
    },
  };
  return reader;
}

/** Begins to read what a script answered. */
export function readerOf(reply: Reply): Reader {
  if (reply instanceof Uint8Array) return createReader(reply);
  throw new TypeError(`Cannot read an answer as it must be packed: current type is ${typeof reply}`);
}
