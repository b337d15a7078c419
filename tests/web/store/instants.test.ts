/**
 * The first of many instants, while they are put off and brought forward.
 *
 * @module
 */

import { describe, expect, it } from "vitest";
import { createInstants, type Timed } from "../../../src/store/instants.ts";

function timed(): Timed {
  return { next: Infinity, noted: Infinity };
}

describe("instants", () => {
  it("knows the first of them while they move", () => {
    const instants = createInstants<Timed>();
    const all = Array.from({ length: 20 }, timed);
    for (let step = 0; step < 5_000; step++) {
      const one = all[step % 20] ?? timed();
      instants.set(one, step % 7 === 0 ? Infinity : (step * 7_919) % 1_009);
      expect(instants.first()).toBe(Math.min(...all.map(({ next }) => next)));
    }
  });

  it("takes those that have come, each once, and leaves the others", () => {
    const instants = createInstants<Timed>();
    const [early, late, never] = [timed(), timed(), timed()];
    instants.set(early, 10);
    instants.set(late, 5);
    instants.set(never, 5);
    instants.set(late, 20);
    instants.set(never, Infinity);
    expect(instants.take(9)).toEqual([]);
    expect(instants.take(10)).toEqual([early]);
    expect(instants.take(10)).toEqual([]);
    expect(early.next).toBe(Infinity);
    expect(instants.first()).toBe(20);
    expect(instants.take(30)).toEqual([late]);
    expect(instants.first()).toBe(Infinity);
  });

  it("takes one again that was set again behind an older entry of its own", () => {
    const instants = createInstants<Timed>();
    const one = timed();
    instants.set(one, 30);
    instants.set(one, 10);
    expect(instants.take(10)).toEqual([one]);
    instants.set(one, 40);
    expect(instants.take(30)).toEqual([]);
    expect(instants.take(40)).toEqual([one]);
  });
});
