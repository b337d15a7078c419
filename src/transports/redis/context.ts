/**
 * The context: the parts of the transport that its verbs share, and the limits and answers of their scripts.
 *
 * @module
 */

import { errorOf, TransportError } from "../../errors.ts";
import type { Runtime } from "../../runtime.ts";
import { explain } from "./errors.ts";
import type { Keys } from "./layout/keys.ts";
import type { Link, Reply, Script } from "./client/link.ts";
import type { Packer } from "./layout/pack.ts";
import type { Names } from "./push_names.ts";
import type { Registry } from "./layout/registry.ts";

/** The parts of the transport that its verbs share. */
export interface Context {
  /** The transport's, for errors. */
  readonly name: string;
  /** Tells this client from all others, past ones too; without a dot or a space. */
  readonly instance: string;
  readonly runtime: Runtime;
  readonly link: Link;
  readonly keys: Keys;
  readonly pack: Packer;
  readonly registry: Registry;
  /** The queues that it reserved from, and may have left consumers in. */
  readonly visited: Set<string>;
  /**
   * Milliseconds by which the server's clock was ahead of the monotonic one at the last poll; undefined before the
   * first.
   */
  ahead: number | undefined;
  /**
   * The last number that was given to an entry read afresh: two entries whose numbers follow one another are neighbours
   * in their stream for as long as both are there, as entries are added at its end alone.
   */
  ranks: number;
  /** Queues that the first script of a poll asks: twice as many as the last one walked through to have enough. */
  reach: number;
  /** The queues whose last poll brought large payloads, each with the bytes of the largest. */
  readonly heavy: Map<string, number>;
  /** The names of the jobs that it stored last. */
  readonly names: Names;
  /** The verbs that this user was found to have the rights for; empty again when something is forbidden. */
  readonly proven: Set<"push" | "reserve">;
}

/** Remembers that a verb works, or where a call was forbidden, that the rights must be asked for again. */
export function learn({ proven }: Context, verb: "push" | "reserve", error?: unknown): void {
  if (error === undefined) proven.add(verb);
  else if (error instanceof TransportError && error.code === "TRANSPORT_FORBIDDEN") proven.clear();
}

/** Bytes of a payload and its metadata together: as many as a script moves without holding the server up. */
export const MAX_BYTES: number = 16 * 1024 * 1024;
/** Items of one batch, all in one script where it must be whole. */
export const MAX_ITEMS = 10_000;

/** The error that a script answered for a part of its batch. */
export function faultIn(
  { name }: Context,
  { source }: Script,
  reply: Reply | undefined,
): Error | undefined {
  if (!(reply instanceof Uint8Array) || reply.length === 0) return undefined;
  return errorOf(explain(new Error(new TextDecoder().decode(reply)), name, source));
}

/** A list where one must be. */
export function replies(reply: Reply | undefined): readonly Reply[] {
  if (Array.isArray(reply)) return reply;
  throw new TypeError(`Cannot read an answer as a list must be there: current type is ${typeof reply}`);
}
