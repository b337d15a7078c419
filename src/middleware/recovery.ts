/**
 * Recovery: an error of a handler makes its job dead at once, instead of running it again.
 *
 * @module
 */

import { errorOf } from "../errors.ts";
import type { Middleware } from "../sides/middleware.ts";
import { checkKnown, checkWord } from "../options.ts";
import { deadLetter } from "../jobs/outcome.ts";

/** The fate of a job whose handler threw: dead at once, or run again while attempts are left. */
export type OnPanic = "dead" | "retry";

/** The options of {@linkcode recovery}. */
export interface RecoveryOptions {
  /** The fate of the job, or a function that decides by the thrown value. Default `dead` (seed 004). */
  readonly onPanic?: OnPanic | ((thrown: unknown) => OnPanic) | undefined;
}

const WORDS: readonly OnPanic[] = ["dead", "retry"];

/**
 * Makes a job dead at once, reason `panic`, when its handler throws; the dead letter has the value's text and stack
 * (seed 004). Outcomes pass as they are, so a handler still retries by `retry()`. An error after the run's signal
 * aborted passes too: a stopping worker gives the job back, and a timeout is retried.
 *
 * @throws {TypeError} for an option that is wrong or unknown.
 *
 * @example
 * ```ts
 * import { createRelay } from "@relevo/relevo";
 * import { recovery } from "@relevo/relevo/middleware";
 * import * as v from "valibot";
 *
 * const relay = createRelay({ jobs: { tidy: v.object({}) }, use: [recovery()], log: false });
 * relay.handle("tidy", () => {
 *   throw new Error("a fault of the program");
 * });
 * await relay.dispatch("tidy", {});
 * console.log((await relay.drain()).failed); // 1
 * await relay.close();
 * ```
 */
export function recovery(options: RecoveryOptions = {}): Middleware {
  const action = "make the middleware 'recovery'";
  checkKnown(action, options, ["onPanic"]);
  const { onPanic = "dead" } = options;
  if (typeof onPanic !== "function") checkWord(action, "onPanic", onPanic, WORDS);
  const decide = typeof onPanic === "function" ? onPanic : () => onPanic;
  return {
    run: (next) => async (_, context) => {
      try {
        return await next();
      } catch (thrown) {
        if (context.signal.aborted || checkWord(action, "onPanic", decide(thrown), WORDS) === "retry") {
          throw thrown;
        }
        return deadLetter({ reason: "panic", error: errorOf(thrown) });
      }
    },
  };
}
