/**
 * MessagePack as the server's Lua reads and writes it: a whole batch is one argument, a whole answer one text, as
 * each argument and each element of an answer has its price. Of its texts the server knows the old kind only, which
 * may hold any bytes.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Reply } from "../client/link.ts";

/** A value that can be packed. Numbers are integers; absent is nil. */
export type Packable = string | number | undefined | Uint8Array | readonly Packable[];

/** Packs values into memory of its own, which it uses again. */
export type Packer = (value: Packable) => Uint8Array;

const FIRST_SIZE = 16 * 1024;
/** Memory above this is given back at once. */
const KEPT_SIZE = 1024 * 1024;
/** Up to this length a text's head is of two bytes whatever is in it: a UTF-16 unit takes at most three bytes. */
const SHORT = 0xffff / 3;
/** The longest text whose units are written one by one. */
const BRIEF = 48;

const LINE_END = 10;
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
/** The server writes it; heads of texts that are sent begin at 16 bits. */
const RAW8 = 0xd9;
const RAW16 = 0xda;
const RAW32 = 0xdb;
const ARRAY16 = 0xdc;
const ARRAY32 = 0xdd;

/** Memory that is written, and where the next value goes. */
interface Page {
  memory: Buffer;
  end: number;
}

/** Makes a packer. */
export function createPacker(): Packer {
  const page: Page = { memory: Buffer.allocUnsafeSlow(FIRST_SIZE), end: 0 };
  return (value) => {
    page.end = 0;
    put(page, value);
    // A copy, as the client may keep its arguments for a while.
    const packed = Buffer.from(page.memory.subarray(0, page.end));
    if (page.memory.length > KEPT_SIZE) page.memory = Buffer.allocUnsafeSlow(FIRST_SIZE);
    return packed;
  };
}

function put(page: Page, value: Packable): void {
  if (typeof value === "string") putText(page, value);
  else if (typeof value === "number") putNumber(page, value);
  else if (value === undefined) {
    grow(page, 1);
    page.memory[page.end++] = NIL;
  } else if (value instanceof Uint8Array) putBytes(page, value);
  else {
    grow(page, 5);
    page.end = page.memory.writeUInt32BE(value.length, page.memory.writeUInt8(ARRAY32, page.end));
    for (const item of value) put(page, item);
  }
}

function grow(page: Page, more: number): void {
  const { memory, end } = page;
  if (end + more <= memory.length) return;
  page.memory = Buffer.allocUnsafeSlow(Math.max(2 * memory.length, end + more));
  memory.copy(page.memory, 0, 0, end);
}

function putText(page: Page, text: string): void {
  const { length } = text;
  grow(page, 5 + 3 * length);
  const { memory, end } = page;
  if (length > SHORT) {
    const size = memory.write(text, end + 5, "utf8");
    memory[end] = RAW32;
    memory.writeUInt32BE(size, end + 1);
    page.end = end + 5 + size;
    return;
  }
  const start = end + 3;
  const size = length <= BRIEF ? putBrief(memory, text, start) : memory.write(text, start, "utf8");
  memory[end] = RAW16;
  memory[end + 1] = size >> 8;
  memory[end + 2] = size & 255;
  page.end = start + size;
}

function putBrief(memory: Buffer, text: string, start: number): number {
  for (let n = 0; n < text.length; n++) {
    const unit = text.charCodeAt(n);
    if (unit > 127) return memory.write(text, start, "utf8");
    memory[start + n] = unit;
  }
  return text.length;
}

function putBytes(page: Page, bytes: Uint8Array): void {
  grow(page, 5 + bytes.length);
  const { memory, end } = page;
  const isLong = bytes.length > 0xffff;
  memory[end] = isLong ? RAW32 : RAW16;
  const start = isLong
    ? memory.writeUInt32BE(bytes.length, end + 1)
    : memory.writeUInt16BE(bytes.length, end + 1);
  memory.set(bytes, start);
  page.end = start + bytes.length;
}

function putNumber(page: Page, value: number): void {
  grow(page, 9);
  const { memory, end } = page;
  if (value >= 0 && value < 128) memory[page.end++] = value;
  else page.end = memory.writeDoubleBE(value, memory.writeUInt8(FLOAT64, end));
}

/** What an entry's first field says. */
export interface Head {
  readonly name: string;
  readonly id: string;
  readonly meta: string;
}

const NONE: readonly string[] = [];

/** Reads a script's packed answer, part after part; its user knows which part must come. */
export class Reader {
  readonly #memory: Buffer;
  readonly #beside: readonly Reply[];
  #at = 0;
  /** The text that {@linkcode Reader.repeated} gave last, and where it is. */
  #text = "";
  #start = 0;
  #end = 0;
  /** Where the last word goes on behind its start. */
  #rest = 0;
  #restLength = 0;

  constructor(packed: Uint8Array, beside: readonly Reply[] = []) {
    this.#beside = beside;
    this.#memory = Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength);
  }

  /** Whether a list comes; where none does, the value that comes instead is passed over. */
  isList(): boolean {
    const head = this.#memory[this.#at] ?? NIL;
    if ((head >= 0x90 && head < 0xa0) || head === ARRAY16 || head === ARRAY32) return true;
    if (head === FALSE || head === NIL) this.#at++;
    else this.number();
    return false;
  }

  /** How many parts the list has that comes. */
  length(): number {
    const head = this.#memory[this.#at] ?? NIL;
    if (head >= 0x90 && head < 0xa0) {
      this.#at++;
      return head & 15;
    }
    if (head === ARRAY16) return this.#memory.readUInt16BE(this.#pass(3) + 1);
    if (head === ARRAY32) return this.#memory.readUInt32BE(this.#pass(5) + 1);
    throw this.#wrong("a list");
  }

  number(): number {
    const head = this.#memory[this.#at] ?? NIL;
    if (head < 0x80) {
      this.#at++;
      return head;
    }
    if (head >= 0xe0) {
      this.#at++;
      return head - 256;
    }
    return this.#wide(head);
  }

  text(): string {
    const length = this.#head();
    const start = this.#pass(length);
    return this.#memory.toString("utf8", start, start + length);
  }

  /** The same text as last time costs no new one. */
  repeated(): string {
    const length = this.#head();
    return this.#repeatedAt(this.#pass(length), length);
  }

  /**
   * A text of id, name and metadata, a line each, of which the last may have more; undefined for one of fewer. The name
   * is no line of it where it stands in the last {@linkcode Reader.word}, behind its start.
   */
  head(named: boolean): Head | undefined {
    const length = this.#head();
    const start = this.#pass(length);
    const end = start + length;
    const memory = this.#memory;
    const first = memory.indexOf(LINE_END, start);
    const second = named || first < 0 ? first : memory.indexOf(LINE_END, first + 1);
    if (second < 0 || second >= end) return undefined;
    const name = named
      ? this.#repeatedAt(this.#rest, this.#restLength)
      : this.#repeatedAt(first + 1, second - first - 1);
    const id = memory.toString("utf8", start, first);
    return { name, id, meta: second + 1 === end ? "" : memory.toString("utf8", second + 1, end) };
  }

  #repeatedAt(start: number, length: number): string {
    if (this.#text === "" || !this.#isLast(start, length)) {
      this.#text = this.#memory.toString("utf8", start, start + length);
      this.#start = start;
      this.#end = start + length;
    }
    return this.#text;
  }

  /** A window into the packed bytes. */
  bytes(): Uint8Array {
    const length = this.#head();
    const { buffer, byteOffset } = this.#memory;
    return new Uint8Array(buffer, byteOffset + this.#pass(length), length);
  }

  /** The same, or where a number comes instead, the payload of that number beside the packed text. */
  payload(): Uint8Array {
    const head = this.#memory[this.#at] ?? NIL;
    if ((head >= 0xa0 && head < 0xc0) || head === RAW8 || head === RAW16 || head === RAW32) {
      return this.bytes();
    }
    const found = this.#beside[this.number() - 1];
    if (found instanceof Uint8Array) return found;
    throw this.#wrong("a payload");
  }

  /** The index of the word that comes, or behind those of the start that it has and goes on from; -1 for another text. */
  word(words: readonly string[], starts: readonly string[] = NONE): number {
    const length = this.#head();
    const start = this.#pass(length);
    for (let n = 0; n < starts.length; n++) {
      const word = starts[n];
      if (word === undefined || word.length >= length || !this.#isWord(word, start)) continue;
      this.#rest = start + word.length;
      this.#restLength = length - word.length;
      return words.length + n;
    }
    for (let n = 0; n < words.length; n++) {
      const word = words[n];
      if (word !== undefined && word.length === length && this.#isWord(word, start)) return n;
    }
    return -1;
  }

  /** Goes on by so many bytes; answers where it was. */
  #pass(size: number): number {
    const start = this.#at;
    this.#at += size;
    return start;
  }

  /** Passes over the head of a text; answers the text's length. */
  #head(): number {
    const head = this.#memory[this.#at] ?? NIL;
    if (head >= 0xa0 && head < 0xc0) {
      this.#at++;
      return head & 31;
    }
    if (head === RAW8) return this.#memory.readUInt8(this.#pass(2) + 1);
    if (head === RAW16) return this.#memory.readUInt16BE(this.#pass(3) + 1);
    if (head === RAW32) return this.#memory.readUInt32BE(this.#pass(5) + 1);
    throw this.#wrong("a text");
  }

  #wide(head: number): number {
    const memory = this.#memory;
    switch (head) {
      case FLOAT32:
        return memory.readFloatBE(this.#pass(5) + 1);
      case FLOAT64:
        return memory.readDoubleBE(this.#pass(9) + 1);
      case UINT8:
        return memory.readUInt8(this.#pass(2) + 1);
      case UINT16:
        return memory.readUInt16BE(this.#pass(3) + 1);
      case UINT32:
        return memory.readUInt32BE(this.#pass(5) + 1);
      case UINT64:
        return Number(memory.readBigUInt64BE(this.#pass(9) + 1));
      case INT8:
        return memory.readInt8(this.#pass(2) + 1);
      case INT16:
        return memory.readInt16BE(this.#pass(3) + 1);
      case INT32:
        return memory.readInt32BE(this.#pass(5) + 1);
      case INT64:
        return Number(memory.readBigInt64BE(this.#pass(9) + 1));
      default:
        throw this.#wrong("a number");
    }
  }

  #isLast(start: number, length: number): boolean {
    if (length !== this.#end - this.#start) return false;
    const memory = this.#memory;
    for (let n = 0; n < length; n++) if (memory[start + n] !== memory[this.#start + n]) return false;
    return true;
  }

  #isWord(word: string, start: number): boolean {
    for (let n = 0; n < word.length; n++) if (this.#memory[start + n] !== word.charCodeAt(n)) return false;
    return true;
  }

  #wrong(wanted: string): TypeError {
    const head = this.#memory[this.#at];
    return new TypeError(`Cannot read an answer as ${wanted} must come: current head is ${head}`);
  }
}

/** Begins to read a script's answer: one packed text, or a list of it and the payloads beside it. */
export function readerOf(reply: Reply): Reader {
  const [packed, ...beside] = Array.isArray(reply) ? reply as readonly Reply[] : [reply];
  if (packed instanceof Uint8Array) return new Reader(packed, beside);
  throw new TypeError(`Cannot read an answer as it must be packed: current type is ${typeof packed}`);
}
