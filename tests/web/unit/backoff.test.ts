import { describe, expect, it } from "vitest";
import { delayAfter, exponential, fixed, jittered, linear } from "../../../src/jobs/backoff.ts";

const never = (): number => 0;
const failure = (attempts: number, lastDelay = 0) => ({ attempts, lastDelay, error: new Error("no") });

/** A small generator with a seed, so that every run draws the same numbers. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

describe("backoff", () => {
  it("exponential doubles from base to max", () => {
    const delays = [1, 2, 3, 4, 8, 9].map((attempts) =>
      delayAfter(failure(attempts), exponential(5_000), never)
    );
    expect(delays).toEqual([5_000, 10_000, 20_000, 40_000, 600_000, 600_000]);
  });

  it("does not overflow at attempt 200, nor at 2,000, whatever the policy", () => {
    for (const policy of [exponential(5_000), fixed(5_000), linear(5_000), jittered(), exponential(0)]) {
      for (const attempts of [200, 2_000]) {
        const delay = delayAfter(failure(attempts, 600_000), policy, never);
        expect(delay).toBeGreaterThanOrEqual(0);
        expect(delay).toBeLessThanOrEqual(600_000);
      }
    }
  });

  it("jitter lengthens no delay beyond a century, which is the most that a transport takes", () => {
    const century = 36_525 * 86_400_000;
    expect(delayAfter(failure(1), fixed(century, { jitter: 1 }), () => 0.9)).toBe(century);
  });

  it("jitter only ever adds, up to its part", () => {
    const random = createRandom(7);
    for (let i = 0; i < 1_000; i++) {
      const delay = delayAfter(failure(1), exponential(10_000), random);
      expect(delay).toBeGreaterThanOrEqual(10_000);
      expect(delay).toBeLessThanOrEqual(11_000);
    }
  });

  it("fixed stays, linear adds", () => {
    expect([1, 2, 3].map((n) => delayAfter(failure(n), fixed(70), never))).toEqual([70, 70, 70]);
    expect([1, 2, 3].map((n) => delayAfter(failure(n), linear(70), never))).toEqual([70, 140, 210]);
  });

  it("F117: jittered is clamp(2 b U[0.5, 1.5), 1 s, 10 min), beginning at 1 s", () => {
    expect(delayAfter(failure(1), jittered(), never)).toBe(1_000);
    const random = createRandom(42);
    const same = createRandom(42);
    let last = 1_000;
    for (let i = 0; i < 1_000; i++) {
      const delay = delayAfter(failure(2, last), jittered(), random);
      // The second draw of each delay is that of the jitter, which this policy has none of.
      const drawn = same();
      same();
      expect(delay).toBe(Math.round(Math.min(Math.max(2 * last * (0.5 + drawn), 1_000), 600_000)));
      last = delay;
    }
    for (let i = 0; i < 1_000; i++) {
      const second = delayAfter(failure(2, 1_000), jittered(), random);
      expect(second).toBeGreaterThanOrEqual(1_000);
      expect(second).toBeLessThanOrEqual(3_000);
    }
  });

  it("takes any function, and refuses what it gives when that is no delay", () => {
    expect(delayAfter(failure(3), ({ attempts }) => attempts * 1.4, never)).toBe(4);
    for (const wrong of [Number.NaN, -1, "5" as unknown as number, Infinity, 36_525 * 86_400_000 + 1]) {
      expect(() => delayAfter(failure(1), () => wrong, never)).toThrow(
        /a backoff must give milliseconds from 0 to a century/,
      );
    }
  });

  it("refuses numbers that are none", () => {
    expect(() => exponential(-1)).toThrow(
      "'base' must be milliseconds from 0 to a century: current value is -1",
    );
    expect(() => fixed(Number.NaN)).toThrow(RangeError);
    expect(() => linear(10, { jitter: 2 })).toThrow(
      "'jitter' must be a part from 0 to 1: current value is 2",
    );
    expect(() => exponential(10, { max: 5 })).toThrow("'max' must be milliseconds from 'base' to a century");
  });
});
