/**
 * The filter `gzip`: compression by web streams.
 *
 * @module
 */

import type { Filter } from "../payload/codec.ts";
import { COMPRESS_FROM, MAX_INFLATED } from "../defaults.ts";
import { TooLargeError } from "../errors.ts";
import { checkInteger, checkKnown } from "../options.ts";

/** The options of compression. */
export interface GzipOptions {
  /**
   * Bytes that a payload may have before compression, 1 and up: `dispatch` refuses more, and a worker refuses stored
   * bytes that become more, so that a small payload cannot fill its memory. Default 8,388,608.
   */
  readonly maxInflated?: number | undefined;
}

/** Bytes that are inflated at a time: at most a thousand times as many come out before they are counted. */
const SLICE = 8 * 1024;

/**
 * Compresses payloads of more than 1 KiB, where that makes them smaller. Others are stored as they are: a payload that
 * does not begin as gzip does was not compressed.
 *
 * @throws {TypeError | RangeError} for a wrong option.
 */
export function gzip(options: GzipOptions = {}): Filter {
  const action = "make the filter 'gzip'";
  checkKnown(action, options, ["maxInflated"]);
  const { maxInflated: wanted = MAX_INFLATED } = options;
  const most = checkInteger(action, "maxInflated", wanted, 1, Number.MAX_SAFE_INTEGER);
  return {
    id: "gzip",
    settings: [most],
    async apply(bytes) {
      if (bytes.length > most) {
        throw new TooLargeError("the payload, before compression,", bytes.length, most);
      }
      // Bytes that look compressed are compressed again, else a worker would take them for this filter's.
      const looksMade = isGzip(bytes);
      if (bytes.length <= COMPRESS_FROM && !looksMade) return bytes;
      const made = await collect(new CompressionStream("gzip"), bytes, Infinity);
      return looksMade || made.length < bytes.length ? made : bytes;
    },
    async undo(bytes) {
      if (isGzip(bytes)) return await collect(new DecompressionStream("gzip"), bytes, most);
      if (bytes.length > most) throw tooLarge(most);
      return bytes;
    },
  };
}

/** Whether bytes begin as gzip does. */
function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** All that a stream makes of bytes, or an error as soon as that is more than `most`. */
async function collect(
  stream: CompressionStream | DecompressionStream,
  bytes: Uint8Array,
  most: number,
): Promise<Uint8Array> {
  const reader = sliced(bytes).pipeThrough(stream).getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (let next = await read(reader); next !== undefined; next = await read(reader)) {
    size += next.length;
    if (size > most) {
      // The rest of the stream is given up; how it ends is of no interest.
      reader.cancel().catch(() => undefined);
      throw tooLarge(most);
    }
    chunks.push(next);
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

function tooLarge(most: number): RangeError {
  return new RangeError(`the payload is more than ${most} bytes when it is inflated`);
}

async function read(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Uint8Array | undefined> {
  try {
    const { value } = await reader.read();
    return value;
  } catch {
    throw new TypeError("the bytes are no gzip, or not all of it");
  }
}

/** Bytes as a stream that gives a slice when it is asked for one. */
function sliced(bytes: Uint8Array): ReadableStream<Uint8Array<ArrayBuffer>> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      controller.enqueue(bytes.slice(at, at += SLICE));
      if (at >= bytes.length) controller.close();
    },
  });
}
