/** The wall clock of a Redis server, in the hand of a test. */
import { Buffer } from "node:buffer";
import { closeSync, copyFileSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { binaryOf } from "./server.ts";

/** A clock that stands still until it is set. */
export interface ServerClock extends Disposable {
  /** What a server that is to go by this clock has in its environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Sets it, in milliseconds since the epoch; the server sees it at once. */
  set(ms: number): void;
}

const PAGE = 4_096;

/** Makes a clock of a file that the server has mapped into its memory. */
export function createClock(ms: number): ServerClock {
  const folder = mkdtempSync(join(tmpdir(), "relevo-clock-"));
  const path = join(folder, "now");
  // The loader takes a space in a library's path for its end.
  const library = join(folder, "clock.so");
  copyFileSync(binaryOf("clock").command, library);
  writeFileSync(path, Buffer.alloc(PAGE));
  const file = openSync(path, "r+");
  const bytes = Buffer.alloc(8);
  const set = (now: number): void => {
    bytes.writeBigInt64LE(BigInt(Math.round(now * 1_000)));
    writeSync(file, bytes, 0, bytes.length, 0);
  };
  set(ms);
  return {
    env: { LD_PRELOAD: library, RELEVO_CLOCK: path },
    set,
    [Symbol.dispose]() {
      closeSync(file);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
