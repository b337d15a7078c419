/**
 * The time of a case: a subject's clock or the real one, times scaled for it, and waits that have an end.
 *
 * @module
 */

import { systemRuntime } from "../../runtime.ts";
import { ClaimError } from "./assert.ts";
import type { Subject } from "./subject.ts";

/** Clock and waits of a case. */
export interface Time {
  /** A lease that a case lets run out. */
  readonly brief: number;
  /** A lease or a wait that outlasts the case. */
  readonly long: number;
  now(): number;
  /** A time of the suite, scaled. */
  ms(time: number): number;
  elapse(ms: number): Promise<void>;
  /** Lets leases of `brief` run out. */
  expire(): Promise<void>;
  /** Lets time go by until a promise settles, but no more than `ms`. */
  within<T>(promise: Promise<T>, ms: number, what: string): Promise<T>;
  /** Repeats a call until the server of the store, or the link to it, is found alive again. */
  eventually<T>(run: () => Promise<T>): Promise<T>;
}

/** Milliseconds between two looks at what is waited for. */
export const STEP = 20;
/** How long whatever serves the store may take to be found alive again, and between two looks. */
const RECOVERY = 20_000;
const PAUSE = 50;

/** Makes the time of a case with a subject. */
export function createTime(subject: Subject): Time {
  const scale = subject.scale ?? 1;
  const ms = (time: number): number => time * scale;
  const { now: wall, sleep } = systemRuntime();
  const elapse = (time: number): Promise<void> => subject.elapse?.(time) ?? sleep(time);
  const brief = ms(400);
  return {
    brief,
    long: ms(600_000),
    now: () => subject.now?.() ?? wall(),
    ms,
    elapse,
    expire: () => elapse(brief + ms(50)),
    async within(promise, most, what) {
      let pending = true;
      const end = (): void => void (pending = false);
      promise.then(end, end);
      await elapse(0);
      for (let spent = 0; pending; spent += ms(STEP)) {
        if (spent > most) throw new ClaimError(`${what}: nothing happened within ${most} ms`);
        await elapse(ms(STEP));
      }
      return await promise;
    },
    async eventually(run) {
      for (let spent = 0;; spent += PAUSE) {
        try {
          return await run();
        } catch (reason) {
          if (spent >= RECOVERY) throw reason;
          await elapse(ms(PAUSE));
        }
      }
    },
  };
}
