import { expect, test } from "vitest";
import { createFakeRuntime } from "../../../src/testing/mod.ts";
import { createClock } from "../../../src/transports/memory/clock.ts";

/** A clock whose thread may lose its turn for some milliseconds, before or after it reads the wall clock. */
function interrupted() {
  const fake = createFakeRuntime();
  let lost = 0;
  let pause: "before" | "after" | undefined;
  const clock = createClock({
    ...fake,
    monotonic: () => fake.monotonic() + lost,
    now() {
      if (pause === "before") lost += 5;
      const shown = Math.floor(fake.now() + lost);
      if (pause === "after") lost += 5;
      pause = undefined;
      return shown;
    },
  });
  return { clock, fake, lose: (when: "before" | "after") => void (pause = when) };
}

test.each(["before", "after"] as const)(
  "a thread that has no turn %s the wall clock is read does not move the wall clock",
  (when) => {
    const { clock, lose } = interrupted();
    const { skew } = clock.moment();
    lose(when);
    expect(clock.moment().skew).toBe(skew);
    expect(clock.moment().skew).toBe(skew);
  },
);

test("a wall clock that is set forward or back is followed", () => {
  const { clock, fake } = interrupted();
  expect(clock.moment().skew).toBe(0);
  fake.step(60_000);
  expect(clock.moment().skew).toBe(60_000);
  fake.step(-90_000);
  expect(clock.moment().skew).toBe(-30_000);
});
