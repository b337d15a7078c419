import { expect, test } from "vitest";
import type { Selection } from "../../../mod.ts";
import { parted } from "../../../src/store/pages.ts";
import { dueAmong } from "../../../src/store/schedules.ts";
import { idsOf, isMeant } from "../../../src/store/selections.ts";

test("a selection says each of its ids once, and no ids where it is one by other facts", () => {
  expect(idsOf({ ids: ["b", "a", "b"] })).toEqual(["b", "a"]);
  expect(idsOf({ ids: [] })).toEqual([]);
  expect(idsOf("all")).toBeUndefined();
  expect(idsOf({ name: "mail" })).toBeUndefined();
});

test.each<readonly [Selection, boolean]>([
  ["all", true],
  [{ name: "mail" }, true],
  [{ name: "bill" }, false],
  [{ reason: "lost" }, true],
  [{ reason: "exhausted" }, false],
  [{ before: 101 }, true],
  [{ before: 100 }, false],
  [{ name: "mail", reason: "lost", before: 101 }, true],
  [{ name: "mail", reason: "lost", before: 100 }, false],
  [{ name: "mail", reason: "exhausted", before: 101 }, false],
  [{ name: "bill", reason: "lost", before: 101 }, false],
])("a job 'mail' that died of 'lost' at 100 is chosen by %j: %s", (select, meant) => {
  expect(isMeant(select, "mail", "lost", 100)).toBe(meant);
});

test("a live job is chosen by its name, and by no time of death", () => {
  expect(isMeant({ name: "mail" }, "mail")).toBe(true);
  expect(isMeant({ name: "bill" }, "mail")).toBe(false);
  expect(isMeant({ before: 1 }, "mail")).toBe(false);
});

test.each<readonly [number, readonly string[]]>([[0, []], [1, ["a"]], [2, ["ab"]], [5, ["ab", "cd", "e"]]])(
  "a list of %d comes in parts of two: %j",
  (size, parts) => {
    const items = [..."abcde"].slice(0, size);
    expect([...parted(items, 2)].map((part) => part.join(""))).toEqual(parts);
  },
);

function at(tick: number, paused = false): { readonly tick: number; readonly paused: boolean } {
  return { tick, paused };
}

test.each<readonly [string, Parameters<typeof dueAmong>, readonly number[], number | undefined]>([
  ["none is there", [[], 10, 5], [], undefined],
  ["one is to come", [[at(13)], 10, 5], [], 3],
  ["one is due now", [[at(10)], 10, 5], [10], undefined],
  ["they come in any order", [[at(12), at(9), at(7), at(20)], 10, 5], [7, 9], 2],
  ["one rests", [[at(9, true), at(12, true), at(8)], 10, 5], [8], undefined],
  ["more are due than are asked for", [[at(9), at(7), at(8), at(12)], 10, 2], [7, 8], 0],
  ["others come earlier", [[at(15)], 10, 5, 12], [], 2],
  ["others come later", [[at(12)], 10, 5, 15], [], 2],
  ["others fell due meanwhile", [[], 10, 5, 9], [], 0],
])("of schedules, where %s, those that are due come in the order of their ticks", (_, given, ticks, next) => {
  const due = dueAmong(...given);
  expect(due.schedules.map(({ tick }) => tick)).toEqual(ticks);
  expect(due.next).toBe(next);
  expect(due.now).toBe(10);
});
