/**
 * A subject: the transport that the conformance suite examines, and the means that the suite needs for it.
 *
 * @module
 */

import type { Runtime } from "../../runtime.ts";
import type { Features, Lacks, Transport } from "../../contract/transport.ts";

/** A transport to be examined. */
export interface Subject {
  /** Its name in reports. */
  readonly name: string;
  /**
   * The features that the transport declares; a case compares. Stated here so that cases can be listed without opening
   * a store.
   */
  readonly features: Features;
  /** Why it lacks abilities, as the transport says it; a case compares. Absent: it gives no reasons. */
  readonly lacks?: Lacks | undefined;
  /**
   * Opens a transport on the store of that name, ready for calls. A new name is an empty store. The same name again,
   * where `features.shared`, is another client of the same store. Names are of letters, digits and `-`, under 60 long.
   */
  create(store: string): Promise<Transport>;
  /**
   * Stops and starts whatever serves the store; for an embedded store nothing at all. Mandatory for a durable
   * transport.
   */
  restart?(store: string): Promise<void>;
  /**
   * Lets whatever serves the store fall silent: it takes bytes and answers nothing, as a stopped process or a
   * cable that was pulled. Resolves with a function that lets it go on.
   */
  pause?(store: string): Promise<() => Promise<void>>;
  /** Puts in an entry as another program would, without anything of ours around the payload. */
  raw?(store: string, queue: string, payload: Uint8Array): Promise<void>;
  /**
   * Puts in an entry as another program would, with any of the fields that such a program can write; rejects where the
   * store refuses such an entry. It may refuse names, ids and payloads, and must take any metadata of less than 30,000
   * characters.
   */
  inject?(store: string, entry: ForeignEntry): Promise<void>;
  /**
   * Makes one queue of the store unusable, as a key of a wrong type or a permission that is missing does: the transport
   * cannot reserve from it, and can from every other. Resolves with a function that mends it.
   */
  spoil?(store: string, queue: string): Promise<() => Promise<void>>;
  /**
   * Lets the store forget all that is in it, under the clients that are open: they find it empty, and no call fails for
   * it.
   */
  lose?(store: string): Promise<void>;
  /** The clock of its transports, for workers upon them. Default: the system's. */
  runtime?(): Runtime;
  /** An entry of another program can be without a payload. */
  readonly bare?: true;
  /**
   * Begins a transaction of the caller's on the store, for a transport with `transactions`; `handle` is the object that
   * its calls take.
   */
  transaction?(store: string): Promise<SubjectTransaction>;
  /** The transport has `topics`; a case compares. */
  readonly topics?: true;
  /** The transport has `schedules`; a case compares. */
  readonly schedules?: true;
  /** The transport has `diagnose`; a case compares. */
  readonly diagnose?: true;
  /** Moves the wall clock by so many milliseconds, back if negative, without any time going by. */
  step?(ms: number): void;
  /** How many timers, sockets and the like are alive: 0 when all clients of all stores are closed. */
  alive?(): number;
  /** Removes a store after the last of its clients was closed. */
  destroy?(store: string): Promise<void>;
  /** Lets so many milliseconds go by. Default: really waits. With a fake runtime: its `advance`. */
  elapse?(ms: number): Promise<void>;
  /** The wall clock in milliseconds since the epoch. Default: `Date.now`. With a fake runtime: its `now`. */
  now?(): number;
  /** Multiplies every time of the suite, for a broker that is far away or slow. Default 1. */
  readonly scale?: number;
}

/** An entry of another program: the program leaves absent fields out. */
export interface ForeignEntry {
  /** Where it is put. */
  readonly queue: string;
  /** Any text. */
  readonly id?: string | undefined;
  /** Any text. */
  readonly name?: string | undefined;
  /** Any text. */
  readonly meta?: string | undefined;
  /** Any bytes; where the transport's entries cannot be without, none. */
  readonly payload?: Uint8Array | undefined;
}

/** A transaction that a subject began. */
export interface SubjectTransaction {
  /** The handle that the transport's `transactions` take. */
  readonly handle: object;
  /** Ends it, and gives its handle back. */
  commit(): Promise<void>;
  /** Ends it as if it had never been, and gives its handle back. */
  rollback(): Promise<void>;
}

/** The parts that a case needs: a feature that is declared, or an ability of the subject. */
export type Need =
  | { readonly [F in keyof Features]-?: Features[F] extends boolean ? F : never }[keyof Features]
  | Ability;

/** An optional part of a subject that a case may need. */
export type Ability =
  | "restart"
  | "pause"
  | "raw"
  | "inject"
  | "bare"
  | "spoil"
  | "lose"
  | "transaction"
  | "topics"
  | "schedules"
  | "diagnose"
  | "step"
  | "alive";

/** One claim about every transport, ready to run with any test runner. */
export interface Case {
  /** The part of the contract that it belongs to. */
  readonly group: string;
  /** The claim; no two cases have the same. */
  readonly name: string;
  /** Its needs; empty when it holds for every transport. */
  readonly needs: readonly Need[];
  /** Opens a store of its own, examines it, closes it; rejects when the claim does not hold. */
  run(): Promise<void>;
}
