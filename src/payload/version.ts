/**
 * Versions of payloads: how payloads of older programs become payloads that today's schema takes.
 *
 * @module
 */

import { checkInteger, wrongType } from "../options.ts";
import { hush, isPromise } from "../promises.ts";

/** The versions of a definition's payloads, made by {@linkcode from}. `Last` is the type of the newest one. */
export interface Upcast<out Last = unknown> {
  /** The oldest version that is read. */
  readonly first: number;
  /** The version that is dispatched. */
  readonly last: number;
  /** A payload of a version between them as one of the last. */
  readonly climb: (payload: unknown, version: number) => Last;
}

/** Versions with steps between them. */
export interface UpcastSteps<out Last = unknown> extends Upcast<Last> {
  /** The next version, made of the last one. Synchronous, and without effects. */
  readonly step: <Next>(step: (old: Last) => Next) => UpcastSteps<Next>;
}

/** A step that threw. */
export class StepFailed extends Error {
  /** From 1. */
  readonly step: number;

  constructor(step: number, cause: unknown) {
    super(`step ${step} failed`, { cause });
    this.step = step;
  }
}

/**
 * The versions of a definition's payloads, beginning with the oldest that may still be stored, 1 and up. With a step it
 * goes on to the next version, and each `.step` to one more; without one there is that version alone.
 *
 * A payload that was stored without a version is version 1. The steps are walked where the job runs, behind its codec
 * and before its schema; the last must give the type that the schema takes.
 *
 * @example
 * ```ts
 * import { createRelay, from } from "@relevo/relevo";
 * import * as v from "valibot";
 *
 * const schema = v.object({ first: v.string(), last: v.string() });
 * const upcast = from(1, (old: { name: string }) => old.name.split(" "))
 *   .step(([first = "", last = ""]) => ({ first, last }));
 * const relay = createRelay({ jobs: { greet: { schema, upcast } } });
 * await relay.close();
 * ```
 *
 * @throws {RangeError | TypeError} for a version that is no whole number from 1, and for a step that is no function.
 */
export function from(first: number): Upcast<never>;
/** The same, with the step from that version to the next. */
export function from<Old, Next>(first: number, step: (old: Old) => Next): UpcastSteps<Next>;
export function from(first: number, step?: (old: never) => unknown): Upcast<unknown> {
  checkInteger("give a payload's version", "first", first, 1, Number.MAX_SAFE_INTEGER);
  if (step === undefined) return { first, last: first, climb: (payload) => payload };
  return climbing(first, [checkStep(step)]);
}

type Step = (old: unknown) => unknown;

function climbing(first: number, steps: readonly Step[]): UpcastSteps<never> {
  return {
    first,
    last: first + steps.length,
    climb: (payload, version) => climb(steps, version - first, payload) as never,
    step: (next) => climbing(first, [...steps, checkStep(next)]),
  };
}

function climb(steps: readonly Step[], below: number, payload: unknown): unknown {
  let value = payload;
  for (const [index, step] of steps.entries()) {
    if (index < below) continue;
    try {
      value = step(value);
      if (isPromise(value)) {
        hush(value);
        throw new TypeError("a step must give its value at once");
      }
    } catch (cause) {
      throw new StepFailed(index + 1, cause);
    }
  }
  return value;
}

function checkStep(step: unknown): Step {
  if (typeof step === "function") return step as Step;
  throw wrongType("give a payload's version", "each step", "a function", step);
}

/** Refuses an object that {@linkcode from} did not make. */
export function checkUpcast(upcast: unknown, action: string): void {
  const { first, last, climb: walk }: Partial<Upcast> = Object(upcast);
  if (Number.isInteger(first) && Number.isInteger(last) && typeof walk === "function") return;
  throw wrongType(action, "'upcast'", "made by 'from'", upcast);
}
