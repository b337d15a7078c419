/**
 * The fault of a handler's return type: a branch that was meant as an outcome and is none. `mistake.ts` says the
 * same of values.
 *
 * @module
 */

import type { complete, deadLetter, reschedule, retry } from "./outcome.ts";
import type { after, at, every, Recurrence, RecurrenceKind } from "./schedule.ts";

/**
 * The flaw of a handler, a function, object or list, as the text that compilers show: one of its branches returns a
 * recurrence, a maker of outcomes that is not called, or an Error. `never` for a sound one; `unknown` and `any` are
 * looked at when the value is there.
 */
export type Flaw<Handler> = 0 extends 1 & Handler ? never
  : Handler extends readonly (infer Each)[] ? Flaw<Each>
  : Handler extends ((...given: never) => infer Given) | { readonly handle: (...given: never) => infer Given }
    ? Awaited<Given> extends infer Value ? Value extends unknown ? 0 extends 1 & Value ? never
        : Value extends Error
          // An object with a name and a message is no Error: it lacks the other properties of an Error.
          ? keyof Error extends keyof Value
            ? "A returned Error completes no job: throw it, or return retry({ error })"
          : never
          // The same type as a maker's, and not only alike: a function of the user's may return an outcome when called.
        : (<T>() => T extends Value ? 1 : 2) extends
          | (<T>() => T extends typeof complete ? 1 : 2)
          | (<T>() => T extends typeof retry ? 1 : 2)
          | (<T>() => T extends typeof deadLetter ? 1 : 2)
          | (<T>() => T extends typeof reschedule ? 1 : 2)
          | (<T>() => T extends typeof after ? 1 : 2)
          | (<T>() => T extends typeof at ? 1 : 2)
          | (<T>() => T extends typeof every ? 1 : 2)
          ? "An outcome must be made by a call, as in retry() or reschedule(every(ms))"
          // As `cron`, which has an entry of its own.
        : Value extends RecurrenceKind & ((...given: never) => Recurrence)
          ? "An outcome must be made by a call, as in retry() or reschedule(every(ms))"
        : Value extends { readonly [Symbol.iterator]: unknown } | { readonly [Symbol.asyncIterator]: unknown }
          ? never
        : Value extends { readonly next: infer Next } ? 0 extends 1 & Next ? never
          : Next extends (...given: never) => unknown
            ? "A recurrence alone runs no job again: return reschedule(every(ms)), not every(ms)"
          : never
        : never
      : never
    : never
  : Handler extends { readonly [name: string]: (...given: never) => unknown } ? Flaw<Handler[keyof Handler]>
  : never;
