/** Measures one file: its size, its SHA-256, and its size as gzip, a piece at a time. */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, lstat, open, stat } from "node:fs/promises";

export interface Measured {
  readonly size: number;
  readonly gzip: number;
  readonly hash: string;
}

/** Says of a file that it cannot be measured, now or later: another attempt would be in vain. */
export class Hopeless extends Error {
  /** One word for programs. */
  readonly reason: string;

  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** The most that is in memory of a file, in bytes. */
const PIECE = 256 * 1024;
/** Opening a FIFO would wait for a writer; Windows has neither. */
const READ = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** Measures a file of at most `limit` bytes; an abort ends it between two pieces. */
export async function measure(
  path: Buffer,
  limit: number,
  signal: AbortSignal,
): Promise<Measured | Hopeless> {
  try {
    const found = await stat(path);
    if (!found.isFile()) return new Hopeless("not-a-file", `it is ${kindOf(found)}`);
    if (found.size > limit) return tooLarge(found.size, limit);
    const file = await open(path, READ);
    return await read(file, found.size, limit, signal).finally(() => file.close());
  } catch (error) {
    const hopeless = await hopelessOf(path, error);
    if (hopeless === undefined) throw error;
    return hopeless;
  }
}

async function read(
  file: FileHandle,
  size: number,
  limit: number,
  signal: AbortSignal,
): Promise<Measured> {
  // Web Crypto digests only what is whole in memory; a hash of node:crypto grows with the pieces.
  const hash = createHash("sha256");
  const compression = new CompressionStream("gzip");
  const writer = compression.writable.getWriter();
  const gzip = lengthOf(compression.readable);
  // It fails when the writing does, which is told below.
  gzip.catch(() => undefined);
  let done = 0;
  try {
    for (;;) {
      signal.throwIfAborted();
      // One byte more than is expected, so that the end is found without asking again.
      const wanted = Math.min(PIECE, Math.max(size - done, 0) + 1);
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(wanted), 0, wanted);
      if (bytesRead === 0) break;
      done += bytesRead;
      if (done > limit) throw tooLarge(done, limit);
      const piece = buffer.subarray(0, bytesRead);
      hash.update(piece);
      await writer.write(piece);
      if (bytesRead < wanted && done === size) break;
    }
    await writer.close();
  } catch (error) {
    await writer.abort(error).catch(() => undefined);
    throw error;
  }
  return { size: done, gzip: await gzip, hash: hash.digest("hex") };
}

async function lengthOf(stream: ReadableStream<Uint8Array>): Promise<number> {
  let length = 0;
  for await (const piece of stream) length += piece.length;
  return length;
}

function tooLarge(size: number, limit: number): Hopeless {
  return new Hopeless("too-large", `it has ${size} bytes, and ${limit} is the limit (--limit)`);
}

function kindOf(found: Awaited<ReturnType<typeof stat>>): string {
  if (found.isFIFO()) return "a FIFO";
  if (found.isSocket()) return "a socket";
  return found.isDirectory() ? "a folder" : "a device";
}

/** What no further attempt would mend; anything else (too many open files, a disk that hiccups) is worth a retry. */
async function hopelessOf(path: Buffer, error: unknown): Promise<Hopeless | undefined> {
  if (error instanceof Hopeless) return error;
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return await lstat(path).then(
        () => new Hopeless("dangling-link", "it is a link that leads nowhere"),
        () => new Hopeless("gone", "it was deleted after it had been listed"),
      );
    case "ELOOP":
      return new Hopeless("link-loop", "it is a loop of links");
    case "ENAMETOOLONG":
      return new Hopeless("too-deep", "its path is longer than the system allows");
    case "EACCES":
    case "EPERM":
      return new Hopeless("unreadable", "reading it is not allowed");
  }
  return undefined;
}
