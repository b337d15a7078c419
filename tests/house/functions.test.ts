/** No function over 70 lines, inner ones counted within. */
import { expect, test } from "vitest";
import { functionsOver } from "./support/functions.ts";
import { filesBelow } from "./support/graph.ts";

const MOST = 70;

test("no function of src has more than 70 lines, inner ones counted within", () => {
  expect(filesBelow("src", ".ts").flatMap((file) => functionsOver(file, MOST))).toEqual([]);
});

test("a function's inner ones count within it, and each is named by its outer ones", () => {
  const found = functionsOver("tests/house/fixtures/long.ts", 5);
  expect(found).toEqual([{ name: "tests/house/fixtures/long.ts outer", lines: 9 }, {
    name: "tests/house/fixtures/long.ts outer.inner",
    lines: 6,
  }]);
});
