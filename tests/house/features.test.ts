/** The record of features: docs/features.md, what it is made of, and the names of the tests. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { compareNames, namesInSources } from "../../scripts/lib/feature_names.mjs";
import { NUMBERS, pageOf, passedIn, readResults, readRows, rowsIn } from "../../scripts/lib/features.mjs";
import { inRepository } from "../../scripts/lib/paths.mjs";

const rows = readRows();
const results = readResults();
const passed = Object.keys(results.tests);

test("the list of features has every row once, in order", () => {
  expect(rows.map(({ row }) => row).toSorted()).toEqual(rowsIn(NUMBERS));
  const wrong = rows.filter(({ what, how, note = "" }) =>
    what === "" || (how === undefined) !== /^waits: /.test(note)
  );
  expect(wrong).toEqual([]);
});

test("docs/features.md is what `npm run features` makes of the list and of the results", () => {
  expect(readFileSync(inRepository("docs/features.md"), "utf8")).toBe(pageOf(rows, results));
});

test("every row that does not wait is named by a test that passed", () => {
  const shown = new Set(passed.flatMap(rowsIn));
  expect(rows.filter(({ row, how }) => how !== undefined && !shown.has(row)).map(({ row }) => row)).toEqual(
    [],
  );
});

test("the tests that name rows are those that the results hold: see `npm test -- --record` in CONTRIBUTING.md", () => {
  expect(compareNames(namesInSources(), passed)).toEqual({ unshown: [], unknown: [] });
});

test("a test that was renamed is noticed from both sides, also where a table makes its name", () => {
  const sources = ["F" + "900: it works", "F" + "901: of \0 jobs, each runs"];
  const names = ["F" + "900: it works", "F" + "901: of 200 jobs, each runs"];
  expect(compareNames(sources, names)).toEqual({ unshown: [], unknown: [] });
  const renamed = ["F" + "900: it works well", ...sources.slice(1)];
  expect(compareNames(renamed, names)).toEqual({ unshown: renamed.slice(0, 1), unknown: names.slice(0, 1) });
});

test("what was skipped or failed in a report shows nothing, and a group shows its rows when all of it passed", () => {
  const [a, b, c] = ["F" + "900: a", "F" + "901: b", "F" + "902: group"];
  const one = (title: string, status: string, ...ancestorTitles: string[]) => ({
    ancestorTitles,
    title,
    status,
  });
  const report = {
    testResults: [{
      name: inRepository("tests/server/sqlite/x.test.ts"),
      assertionResults: [one(a, "passed"), one(b, "skipped"), one("c", "passed", c), one("d", "failed", c)],
    }],
  };
  expect([...passedIn(report)]).toEqual([[a, new Set(["SQLite"])]]);
});
