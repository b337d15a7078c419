/**
 * Recovery: an error of a handler makes its job dead at once, instead of running it again.
 *
 * @module
 */

import { errorOf, withFault } from "../errors.ts";
import type { Middleware } from "../sides/middleware.ts";
import { aroundRun, owning, type OwnRun } from "../sides/own.ts";
import { checkKnown, checkWord } from "../options.ts";
import { deadLetter } from "../jobs/outcome.ts";
import { hush } from "../promises.ts";

/** The fate of a job whose handler threw: dead at once, or run again while attempts are left. */
export type OnPanic = "dead" | "retry";

/** The options of {@linkcode recovery}. */
export interface RecoveryOptions {
  /**
   * The fate of the job, or a function that decides by the thrown value; one that throws, or gives another value, fails
   * the run by an error that tells both. Default `dead` (seed 004).
   */
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
  const decide = typeof onPanic === "function" ? (thrown: unknown) => asked(onPanic, thrown) : () => onPanic;
  const side: OwnRun = {
    failed(_, thrown, { signal }) {
      if (signal.aborted || decide(thrown) === "retry") throw thrown;
      return deadLetter({ reason: "panic", error: errorOf(thrown) });
    },
  };
  return owning({ run: aroundRun(side) }, { run: side });
}

/** The word of a function of the program's; its fault is told behind the value that the handler threw. */
function asked(onPanic: (thrown: unknown) => OnPanic, thrown: unknown): OnPanic {
  try {
    const word: unknown = onPanic(thrown);
    hush(word);
    return checkWord("recover a run", "the answer of 'onPanic'", word, WORDS);
  } catch (fault) {
    throw withFault(thrown, "its 'onPanic'", fault);
  }
}
