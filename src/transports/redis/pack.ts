/**
 * MessagePack as the server's Lua reads and writes it: a whole batch is one argument, a whole answer one text, as
 * each argument and each element of an answer has its price. Of its texts the server knows the old kind only, which
 * may hold any bytes.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** What can be packed. Numbers are integers; absent is nil. */
export type Packable = string | number | undefined | Uint8Array | readonly Packable[];

/** What comes back. Texts are bytes, as nobody knows what others put in. */
export type Unpacked = Buffer | number | boolean | null | readonly Unpacked[];

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
const TRUE = 0xc3;
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

/** Takes apart what a script packed; the parts are windows into it. */
export function unpack(packed: Uint8Array): Unpacked {
  const bytes = Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength);
  let at = 0;

  function raw(length: number): Buffer {
    const start = at;
    at += length;
    return bytes.subarray(start, at);
  }

  function list(length: number): readonly Unpacked[] {
    const items: Unpacked[] = [];
    for (let n = 0; n < length; n++) items.push(next());
    return items;
  }

  function skip<T>(size: number, value: T): T {
    at += size;
    return value;
  }

  function next(): Unpacked {
    const head = bytes.readUInt8(at++);
    if (head < 0x80) return head;
    if (head >= 0xa0 && head < 0xc0) return raw(head & 31);
    if (head >= 0x90 && head < 0xa0) return list(head & 15);
    if (head >= 0xe0) return head - 256;
    switch (head) {
      case NIL:
        return null;
      case FALSE:
        return false;
      case TRUE:
        return true;
      case FLOAT32:
        return skip(4, bytes.readFloatBE(at));
      case FLOAT64:
        return skip(8, bytes.readDoubleBE(at));
      case UINT8:
        return skip(1, bytes.readUInt8(at));
      case UINT16:
        return skip(2, bytes.readUInt16BE(at));
      case UINT32:
        return skip(4, bytes.readUInt32BE(at));
      case UINT64:
        return skip(8, bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4));
      case INT8:
        return skip(1, bytes.readInt8(at));
      case INT16:
        return skip(2, bytes.readInt16BE(at));
      case INT32:
        return skip(4, bytes.readInt32BE(at));
      case INT64:
        return skip(8, bytes.readInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4));
      case RAW8:
        return raw(skip(1, bytes.readUInt8(at)));
      case RAW16:
        return raw(skip(2, bytes.readUInt16BE(at)));
      case RAW32:
        return raw(skip(4, bytes.readUInt32BE(at)));
      case ARRAY16:
        return list(skip(2, bytes.readUInt16BE(at)));
      case ARRAY32:
        return list(skip(4, bytes.readUInt32BE(at)));
      default:
        throw new TypeError(`Cannot unpack an answer as its parts must be known: current head is ${head}`);
    }
  }

  return next();
}

/** A list where one must be. */
export function listOf(value: Unpacked | undefined): readonly Unpacked[] {
  if (Array.isArray(value)) return value;
  throw new TypeError(`Cannot read an answer as a list must be there: current type is ${typeof value}`);
}

/** A number where one must be. */
export function numberOf(value: Unpacked | undefined): number {
  if (typeof value === "number") return value;
  throw new TypeError(`Cannot read an answer as a number must be there: current type is ${typeof value}`);
}

/** Bytes where there must be some. */
export function bytesOf(value: Unpacked | undefined): Buffer {
  if (value instanceof Uint8Array) return value;
  throw new TypeError(`Cannot read an answer as bytes must be there: current type is ${typeof value}`);
}

/** A text where one must be. */
export function textOf(value: Unpacked | undefined): string {
  return bytesOf(value).toString("utf8");
}
