import { expect, test, vi } from "vitest";
import { played } from "../web/support/real_clock.ts";

const STANDS = 50;

/** A case that keeps this process from its turns for so long each time, and fails so often. */
function failing(
  times: number,
  still: number,
): { readonly plays: number[]; play(scale: number): Promise<void> } {
  const plays: number[] = [];
  return {
    plays,
    async play(scale) {
      plays.push(scale);
      await Promise.resolve();
      for (const end = performance.now() + still * scale; performance.now() < end;);
      if (plays.length <= times) throw new Error(`Failed at a scale of ${scale}`);
    },
  };
}

test("a case that fails while its process has no turn is played again, more slowly, and that is told", async () => {
  const told = vi.spyOn(console, "warn").mockImplementation(() => undefined);
  const { plays, play } = failing(2, 3 * STANDS);
  await played("slow", STANDS, play);
  expect(plays).toEqual([1, 2, 4]);
  expect(told.mock.calls.map(([text]) => /^'slow' is played again, .* Failed at a scale of \d$/.test(text)))
    .toEqual([
      true,
      true,
    ]);
  told.mockRestore();
});

test("a case that goes on failing fails", async () => {
  const told = vi.spyOn(console, "warn").mockImplementation(() => undefined);
  const { plays, play } = failing(Infinity, 3 * STANDS);
  await expect(played("wrong", STANDS, play)).rejects.toThrow("Failed at a scale of 4");
  expect(plays).toEqual([1, 2, 4]);
  told.mockRestore();
});

test("a case that fails though its process had its turns fails at once", async () => {
  const { plays, play } = failing(1, 0);
  await expect(played("wrong", 10_000, play)).rejects.toThrow("Failed at a scale of 1");
  expect(plays).toEqual([1]);
});
