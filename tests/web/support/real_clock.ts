/**
 * Cases by the real clock, on machines that have others to serve. A case in which this process had no turn for a good part
 * of the time that the case gives it says nothing of the transport when it fails: it is played again, all its times twice
 * as long, and that is printed.
 */
import { test } from "vitest";
import { type Case, conformance, type Subject } from "../../../src/testing/mod.ts";

/** How often a case is played at most. */
const PLAYS = 3;
/** Milliseconds between two looks whether this process has its turns. */
const TICK = 10;
/** Milliseconds without a turn that a case must stand, at a scale of 1: a tenth of the leases that it lets run out. */
const STANDS = 40;

/** A subject whose times are so many times as long. */
export type Scaled = (times: number) => Subject;

/** The cases of a subject, each of which is played more slowly where the machine was too slow for it. */
export function casesOf(subject: Scaled): readonly Case[] {
  const { scale = 1 } = subject(1);
  return conformance(subject(1)).map((one, index) => ({
    ...one,
    run: () =>
      played(one.name, STANDS * scale, async (times) => {
        await (times === 1 ? one : conformance(subject(times))[index])?.run();
      }),
  }));
}

/** What a test does, its times so many times as long. */
type Check = (times: number) => Promise<void>;
/** How a test is made: its name, what it does, and in how many milliseconds it ends at most. */
type Make = (title: string, check: Check, timeout?: number) => void;

/**
 * Makes tests whose leases run out by the real clock, and which stand so many milliseconds without a turn. Unless `slower`
 * says otherwise, their leases are no longer in the second play: a machine that stands still for seconds does so now and
 * then.
 */
export function testByClock(stands: number, slower: number = 1): Make & { readonly concurrent: Make } {
  const again = (title: string, check: Check) => () => played(title, stands, check, slower);
  const make: Make = (title, check, timeout) => test(title, again(title, check), timeout);
  const concurrent: Make = (title, check, timeout) => test.concurrent(title, again(title, check), timeout);
  return Object.assign(make, { concurrent });
}

/**
 * Plays what stands so many milliseconds without a turn; each further play is `slower` times as slow as the one before,
 * and stands as many times as many. Default 2.
 */
export async function played(
  name: string,
  stands: number,
  play: (times: number) => Promise<void>,
  slower: number = 2,
): Promise<void> {
  for (let plays = 1, times = 1;; plays++, times *= slower) {
    const watch = watchTurns();
    try {
      return await play(times);
    } catch (error) {
      const still = watch.longest();
      if (plays === PLAYS || still < stands * times) throw error;
      console.warn(
        `'${name}' is played again, as this process had no turn for ${still} ms: ${String(error)}`,
      );
    } finally {
      watch.end();
    }
  }
}

/** Measures for how long this process has no turn. */
function watchTurns(): { longest(): number; end(): void } {
  let last = performance.now();
  let most = 0;
  const look = (): void => {
    const now = performance.now();
    most = Math.max(most, now - last - TICK);
    last = now;
  };
  const timer = setInterval(look, TICK);
  return {
    longest() {
      look();
      return Math.round(most);
    },
    end: () => clearInterval(timer),
  };
}
