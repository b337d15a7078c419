/**
 * An operator's calls, as values: the command line and the admin handler are faces of one table, and offer nothing
 * that does not stand in it.
 *
 * @module
 */

import type { GenericSchema } from "valibot";
import type { Jobs } from "../jobs/definitions.ts";
import type { Relay } from "../relay/relay.ts";
import { inputOf } from "./input.ts";

/** The part of a relay that operations use: its public calls. */
export type OperatedRelay = Pick<
  Relay<Jobs>,
  "transport" | "info" | "queues" | "list" | "get" | "reload" | "remove" | "diagnose" | "schedules"
>;

/** The parts that an operation works with. */
export interface Desk {
  readonly relay: OperatedRelay;
  /** Milliseconds since the epoch: previews and jobs stored before them are told apart by it. */
  readonly now: () => number;
}

/** The bounds of one operation. */
export interface Bounds {
  /** Ends the operation between two calls to the store: the work up to then stays done. */
  readonly signal?: AbortSignal | undefined;
  /** Told after each page of a long one: how many jobs were reached so far. */
  readonly progress?: ((done: number) => void) | undefined;
}

/** Something that an operator can do, as it is written down. */
export interface Written<Input, Output> {
  /** A noun and a verb, as `dead.list`. */
  readonly name: string;
  /** One sentence for help pages. */
  readonly about: string;
  /** `write`: it changes the store. */
  readonly kind: "read" | "write";
  /** Its input. */
  readonly input: GenericSchema<unknown, Input>;
  /** Its answer, as plain JSON. */
  readonly output: GenericSchema<unknown, Output>;
  /** Does it. */
  run(desk: Desk, input: Input, bounds: Bounds): Promise<Output>;
  /** The jobs that a write would reach, where it reaches many; it is refused without the token of such a preview. */
  preview?(desk: Desk, input: Input, bounds: Bounds): Promise<Preview>;
}

/** Something that an operator can do. */
export interface Operation extends Omit<Written<unknown, unknown>, "run" | "preview"> {
  /**
   * Checks its input and does it.
   *
   * @throws {Refusal} before anything is done: for wrong input, for a thing that is not there, and for a write that its
   * preview does not allow.
   */
  run(desk: Desk, given: unknown, bounds?: Bounds): Promise<unknown>;
  /** Checks its input and says which jobs the write would reach; absent where none is needed. */
  readonly preview?: (desk: Desk, given: unknown, bounds?: Bounds) => Promise<Preview>;
}

/** An operation that checks its input itself. */
export function operation<Input, Output>(written: Written<Input, Output>): Operation {
  const { name, about, kind, input, output, preview } = written;
  return {
    ...{ name, about, kind, input, output },
    run: async (desk, given, bounds = {}) => await written.run(desk, inputOf(name, input, given), bounds),
    ...(preview === undefined ? {} : {
      preview: async (desk, given, bounds = {}) =>
        await preview.call(written, desk, inputOf(name, input, given), bounds),
    }),
  };
}

/** The jobs that a write would reach. */
export interface Preview {
  /** How many jobs; at most 10,000 are counted. */
  readonly count: number;
  /** The count is at least so many, as counting ended there. */
  readonly atLeast: boolean;
  /** The first of them. */
  readonly sample: readonly JobView[];
  /** To be given to the write within 10 minutes, with the same input. */
  readonly token: string;
}

/** A job as operations answer it: plain JSON, times in milliseconds since the epoch. */
export interface JobView {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  readonly channel: string;
  /** Runs that counted so far. */
  readonly attempts: number;
  /** Leases that were lost on it. */
  readonly lost: number;
  readonly createdAt: number;
  readonly due: number;
  readonly requestId: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly codec: string;
  /** Bytes of the whole payload. */
  readonly size: number;
  /** Only where it was asked for: the text, or base64 behind `base64:` where the bytes are no UTF-8. */
  readonly payload?: string;
  readonly leasedUntil?: number;
  readonly lastError?: { readonly name: string; readonly message: string; readonly stack?: string };
  readonly dead?: { readonly reason: string; readonly at: number };
}
