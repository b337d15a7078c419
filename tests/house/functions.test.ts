/** No function over 70 lines, inner ones counted within: those that are longer yet are named, and may not grow. */
import { expect, test } from "vitest";
import { functionsOver } from "./support/functions.ts";
import { filesBelow } from "./support/graph.ts";

const MOST = 70;

/** Lines that a function may have meanwhile. One that has become short leaves the list. */
const LONGER: Readonly<Record<string, number>> = {
};

const long = filesBelow("src", ".ts").flatMap((file) => functionsOver(file, MOST));

test("no function of src has more than 70 lines, inner ones counted within, but for those that are named", () => {
  expect(long.filter(({ name, lines }) => lines > (LONGER[name] ?? MOST))).toEqual([]);
});

test("no function is named as a long one that is short, or gone", () => {
  const names = new Set(long.map(({ name }) => name));
  expect(Object.keys(LONGER).filter((name) => !names.has(name))).toEqual([]);
});

test("a function's inner ones count within it, and each is named by its outer ones", () => {
  const found = functionsOver("tests/house/fixtures/long.ts", 5);
  expect(found).toEqual([{ name: "tests/house/fixtures/long.ts outer", lines: 9 }, {
    name: "tests/house/fixtures/long.ts outer.inner",
    lines: 6,
  }]);
});
