import { expect, test } from "vitest";
import type { Entry } from "../../../mod.ts";
import type { NewSchedule } from "../../../src/contract/recurring.ts";
import { pageOf, placeIn, schedulePage } from "../../../src/store/pages.ts";
import { fateOfPut } from "../../../src/store/schedules.ts";

function entryOf(id: string): Entry {
  const payload = new Uint8Array();
  return {
    queue: "q",
    channel: "waiting",
    id,
    name: "n",
    payload,
    size: 0,
    meta: "",
    lost: 0,
    reset: false,
    time: 0,
  };
}

test.each<readonly [readonly string[], readonly string[], string | undefined]>([
  [[], [], undefined],
  [["a", "b"], ["a", "b"], undefined],
  [["a", "b", "c"], ["a", "b"], "behind b"],
  [["a", "b", "c", "d"], ["a", "b"], "behind b"],
])("a page of two of %j shows %j, and its cursor is %s", (found, shown, cursor) => {
  const page = pageOf(found, 2, entryOf, (last) => `behind ${last}`);
  expect(page.entries.map(({ id }) => id)).toEqual(shown);
  expect(page.cursor).toBe(cursor);
  expect("cursor" in page).toBe(cursor !== undefined);
});

const FORM = /^(\d+)\.([bw])$/;

test("a cursor is read by the form of its listing; there is none on the first page", () => {
  expect(placeIn("12.b", FORM)).toEqual(["12", "b"]);
  expect(placeIn(undefined, FORM)).toEqual([]);
});

test.each(["", "12", "12.c", "12.b ", " 12.b", "12.b\n"])(
  "a cursor that no page gave is refused: %j",
  (cursor) => {
    expect(() => placeIn(cursor, FORM)).toThrow(
      `Cannot list jobs as 'cursor' must come from the page before: current value is `,
    );
  },
);

const payload = new Uint8Array([1, 2]);
const put: NewSchedule = { queue: "q", key: "k", tick: 5, text: "daily", payload };
const kept = { tick: 7, text: "daily", payload: new Uint8Array([1, 2]) };

test.each<readonly [string, Parameters<typeof fateOfPut>[0], NewSchedule, string]>([
  ["none is there", undefined, put, "created"],
  ["none is there, and none was expected", undefined, { ...put, from: "none" }, "created"],
  ["none is there, and one was expected", undefined, { ...put, from: 7 }, "stale"],
  ["it is there as it is", kept, put, "same"],
  ["it is there as it is, whatever was expected", kept, { ...put, from: 1 }, "same"],
  ["another text is there", { ...kept, text: "hourly" }, put, "replaced"],
  ["another payload is there", { ...kept, payload: new Uint8Array([1]) }, put, "replaced"],
  [
    "another one is there at the tick that was expected",
    { ...kept, text: "hourly" },
    { ...put, from: 7 },
    "replaced",
  ],
  ["another one is there at another tick", { ...kept, text: "hourly" }, { ...put, from: 5 }, "stale"],
  [
    "another one is there, and none was expected",
    { ...kept, text: "hourly" },
    { ...put, from: "none" },
    "stale",
  ],
])("a schedule that is put where %s", (_, found, schedule, fate) => {
  expect(fateOfPut(found, schedule)).toBe(fate);
});

test("the last key that a page of schedules shows is its cursor", () => {
  const all = ["a", "b", "c"].map((key) => ({ ...put, key, paused: false, note: "" }));
  expect(schedulePage(all, 2)).toEqual({ schedules: all.slice(0, 2), cursor: "b" });
  expect(schedulePage(all, 3)).toEqual({ schedules: all });
});
