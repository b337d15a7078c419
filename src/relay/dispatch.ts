/**
 * The options and answers of a dispatch, typed by the job's name.
 *
 * @module
 */

import type { Jobs, NameOf, PayloadOf } from "../jobs/definitions.ts";
import type { JobSettings } from "./prepare.ts";

/** The options of a dispatch: of its job, and of the call. */
export interface DispatchOptions extends JobSettings {
  /** Ends the call: nothing is stored, or, if it was sent already, it rejects with `OutcomeUnknown`. */
  readonly signal?: AbortSignal | undefined;
  /**
   * A handle with an open transaction of the caller's, to store the job in it. Only on transports with transactions.
   */
  readonly transaction?: object | undefined;
}

/** The fate of a dispatch. */
export interface Dispatched {
  /** The job's id: the caller's, or a generated one of 26 characters. */
  readonly id: string;
  /** `duplicate`: the id was taken, and nothing was stored. `done`: it ran here, where the relay runs jobs inline. */
  readonly status: "stored" | "duplicate" | "done";
}

/** Arguments of a dispatch; the payload may be left out where its schema allows none. */
export type DispatchArguments<Payload> = undefined extends Payload
  ? [payload?: Payload, options?: DispatchOptions]
  : [payload: Payload, options?: DispatchOptions];

/** Dispatches a job: its name decides the payload's type. */
export type Dispatch<out J extends Jobs> = <Name extends NameOf<J>>(
  name: Name,
  ...rest: DispatchArguments<PayloadOf<J, Name>>
) => Promise<Dispatched>;

/** One job of a bulk dispatch. */
export type BulkJob<J extends Jobs> = {
  [Name in NameOf<J>]:
    & { readonly name: Name }
    & (undefined extends PayloadOf<J, Name> ? { readonly payload?: PayloadOf<J, Name> }
      : { readonly payload: PayloadOf<J, Name> })
    & JobSettings;
}[NameOf<J>];

/** The options of a bulk dispatch. */
export interface BulkOptions {
  /** All or nothing: one refused job refuses all. Only where the transport can. Default false. */
  readonly atomic?: boolean | undefined;
  /**
   * Ends the call: with the signal's reason before anything was sent, and after that with `BulkRefusedError`, where
   * `OutcomeUnknown` stands for each job that may have been stored. Default: none.
   */
  readonly signal?: AbortSignal | undefined;
  /** As for {@linkcode DispatchOptions.transaction}. */
  readonly transaction?: object | undefined;
}

/** Dispatches jobs of any names; all are checked and encoded before the first is stored. */
export type DispatchMany<out J extends Jobs> = (
  jobs: readonly BulkJob<J>[],
  options?: BulkOptions,
) => Promise<readonly Dispatched[]>;
