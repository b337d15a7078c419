/**
 * The values that a handler gets beside the payload.
 *
 * @module
 */

import type { Job } from "./job.ts";
import type { Outcome } from "./outcome.ts";

/** The job that a handler runs. */
export interface HandledJob extends Job {
  /** The stored bytes. */
  readonly payload: Uint8Array;
}

/** The values that a handler gets beside the payload. */
export interface HandlerContext {
  /**
   * Aborts when the run should end: its `timeout` is over (`JobTimeout`), its lease was lost (`LeaseLost`), or the
   * worker stops (the reason of the worker's own signal).
   */
  readonly signal: AbortSignal;
  /** Which run this is: 1 for the first. A lost lease or a stopped worker does not count. */
  readonly attempt: number;
  /** The job with its stored bytes, in a copy of its own. */
  readonly job: HandledJob;
  /**
   * Settles the job inside a transaction that the handler began on a handle of its own and will commit: the work that
   * the handler wrote and the end of the job become true together, or not at all. Only on transports with transactions.
   * When the handler ends and the transaction was rolled back, the run failed.
   *
   * @throws {LeaseLost} when the job is another worker's by now: roll back.
   * @throws {TypeError} when the transport has no transactions, this run was settled before, or `outcome` is none.
   */
  settle(transaction: object, outcome?: Outcome): Promise<void>;
}
