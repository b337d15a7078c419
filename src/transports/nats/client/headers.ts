/**
 * Header lines that are written already. The client's own headers check, split and join each line, which takes as long
 * as all else that is done with a small message.
 *
 * @module
 */

import type { NatsHeaders, NatsLines } from "./connection.ts";

/** The first line of all headers. */
const VERSION = "NATS/1.0\r\n";
const END = "\r\n";
const BETWEEN = ": ";
const encoder = new TextEncoder();

/** The headers of a message that is sent. */
export class WrittenHeaders implements NatsHeaders {
  readonly code = 0;
  readonly description = "";
  readonly #lines: string;

  /** Takes lines that each have their end. */
  constructor(lines: string) {
    this.#lines = lines;
  }

  get(name: string): string {
    return pairsOf(this.#lines).find(([known]) => known === name)?.[1] ?? "";
  }

  /** Called by the client for the bytes that it sends. */
  encode(): Uint8Array {
    return encoder.encode(VERSION + this.#lines + END);
  }
}

/** Headers of the client with lines that each have their end. */
export function filled(headers: NatsLines, lines: string): NatsHeaders {
  for (const [name, value] of pairsOf(lines)) headers.set(name, value);
  return headers;
}

function pairsOf(lines: string): [name: string, value: string][] {
  return lines.split(END).slice(0, -1).map((line) => {
    const name = line.slice(0, line.indexOf(BETWEEN));
    return [name, line.slice(name.length + BETWEEN.length)];
  });
}
