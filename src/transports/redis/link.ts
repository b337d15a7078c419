/**
 * The seam between what the jobs mean in Redis (scripts) and how a server or a Cluster of them is reached.
 *
 * @module
 */

import type { Call } from "../../exchange.ts";

/** A Lua script; sent by its hash, and whole when the server does not know it. */
export interface Script {
  /** For people, in errors. */
  readonly name: string;
  readonly source: string;
}

/** An argument of a command or script. */
export type Argument = string | Uint8Array;

/**
 * What a server answers. Texts come as bytes, integers as numbers, nothing as null; a map comes flat, as a list of keys
 * and values, whatever protocol the connection speaks.
 */
export type Reply = Uint8Array | number | null | readonly Reply[];

/** A way to a server, or to a Cluster of them. */
export interface Link {
  /** Keys live in slots, and a script or command may touch one slot only. */
  readonly clustered: boolean;
  /**
   * Runs a script where its first key's slot lives. Waits for a connection within the call's deadline; rejects with
   * what `errors.ts` makes of it, or with the signal's reason.
   */
  run(script: Script, keys: readonly string[], args: readonly Argument[], call: Call): Promise<Reply>;
  /** A plain command; `key` says where. It rejects as {@linkcode run} does. */
  command(key: string, args: readonly Argument[], call: Call): Promise<Reply>;
  /**
   * Hears a shard channel from when it resolves until the answered function is called, through reconnects and moves of
   * its slot. Undefined where the server forbids it.
   */
  listen(channel: string, heard: (message: string) => void): Promise<(() => void) | undefined>;
  /** Ends every call with `TransportClosed`, and closes what is ours. */
  close(): Promise<void>;
}
