/**
 * The seam between the meaning of jobs in Redis (scripts) and the way to a server or a Cluster of them.
 *
 * @module
 */

import type { Call } from "../../../jobs/exchange.ts";

/** A Lua script; sent by its hash, and whole when the server does not know it. */
export interface Script {
  /** For people, in errors. */
  readonly name: string;
  readonly source: string;
}

/** An argument of a command or script. */
export type Argument = string | Uint8Array;

/**
 * The answer of a server. Texts come as bytes, integers as numbers, nothing as null; a map comes flat, as a list of
 * keys and values, whatever protocol the connection speaks.
 */
export type Reply = Uint8Array | number | null | readonly Reply[];

/** A listener of a shard channel. */
export interface Listener {
  /** Hears a message; an empty one after a time of deafness, as others may have been missed. */
  heard(message: string): void;
  /** Deaf from now on, until it hears an empty message. */
  lost(): void;
}

/** A shard channel that is, or is to be, heard. */
export interface Listening {
  /** Whether it is heard, once that is known; false: the server forbids it, or it was left before. */
  readonly known: Promise<boolean>;
  /** Hears it no more. */
  leave(): void;
}

/** A way to a server, or to a Cluster of them. */
export interface Link {
  /** Keys live in slots, and a script or command may touch one slot only. */
  readonly clustered: boolean;
  /**
   * A channel that is listened to before a script is sent is heard before its answer, as both go over one connection.
   */
  readonly ordered: boolean;
  /** A server can be asked at this moment. */
  readonly reachable: boolean;
  /**
   * Runs a script where its first key's slot lives. Waits for a connection within the call's deadline; rejects with
   * the error that `errors.ts` makes of it, or with the signal's reason.
   */
  run(script: Script, keys: readonly string[], args: readonly Argument[], call: Call): Promise<Reply>;
  /** A plain command; `key` says where. It rejects as {@linkcode run} does. */
  command(key: string, args: readonly Argument[], call: Call): Promise<Reply>;
  /** Hears a shard channel, through reconnects and moves of its slot. */
  listen(channel: string, listener: Listener): Listening;
  /** Ends every call, gives those that were sent a moment for their answer before, and closes our connections. */
  close(): Promise<void>;
}
