/**
 * Texts as bytes, and bytes as texts.
 *
 * @module
 */

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** No bytes. */
export const NOTHING: Uint8Array = new Uint8Array(0);

/** Bytes of memory that short texts share, and the part of it that a text may take to be a short one. */
const SLAB = 4 * 1024;
const SHORT_PART = 1 / 4;

/** Makes bytes of texts. Memory of its own would cost a short one five times as much as its writing does. */
export function createWriter(): (text: string) => Uint8Array {
  let slab = NOTHING;
  let used = 0;
  return (text) => {
    // A UTF-16 unit takes at most three bytes.
    const most = text.length * 3;
    if (most > SLAB * SHORT_PART) return encoder.encode(text);
    if (used + most > slab.length) {
      slab = new Uint8Array(SLAB);
      used = 0;
    }
    const start = used;
    used += encoder.encodeInto(text, slab.subarray(start)).written;
    return slab.subarray(start, used);
  };
}

/**
 * The text of bytes.
 *
 * @throws {TypeError} when they are no UTF-8.
 */
export function readText(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** The value of a text, if it is JSON; undefined where it is none, as the error of a parser would repeat the text. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The bytes of a text, in memory of their own. */
export function textBytes(text: string): Uint8Array {
  return encoder.encode(text);
}
