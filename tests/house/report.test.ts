import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { countsOf, type Ending, line } from "../../scripts/lib/report.mjs";

const sound: Ending = { code: 0, signal: null, timedOut: false, output: "" };

interface Results {
  readonly passed?: number;
  readonly failed?: number;
  readonly skipped?: number;
  /** Files that could not be loaded: they hold no test, and failed. */
  readonly unloaded?: number;
}

/** The line of a suite whose reporter wrote these results, or nothing, before its process ended. */
function lineOf(results: Results | undefined, ending: Partial<Ending> = {}, crash?: RegExp): string {
  const folder = mkdtempSync(join(tmpdir(), "relevo-report-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const json = join(folder, "results.json");
  if (results !== undefined) {
    const { passed = 0, failed = 0, skipped = 0, unloaded = 0 } = results;
    writeFileSync(
      json,
      JSON.stringify({
        numPassedTests: passed,
        numFailedTests: failed,
        numPendingTests: skipped,
        numTodoTests: 0,
        testResults: Array.from({ length: unloaded }, () => ({ status: "failed", assertionResults: [] })),
      }),
    );
  }
  return line(countsOf(json, { ...sound, ...ending }, crash));
}

test("a suite's tests are counted as its reporter counted them", () => {
  expect(lineOf({ passed: 3 })).toBe("3 passed, 0 failed, 0 skipped");
  expect(lineOf({ passed: 3, failed: 2, skipped: 1 }, { code: 1 })).toBe("3 passed, 2 failed, 1 skipped");
});

test("a file that could not be loaded counts as a failure", () => {
  expect(lineOf({ passed: 3, unloaded: 2 }, { code: 1 })).toBe("3 passed, 2 failed, 0 skipped");
});

test("a process that ended badly without a failing test counts as a failure", () => {
  expect(lineOf({ passed: 3 }, { code: 1 })).toBe("3 passed, 1 failed, 0 skipped");
  expect(lineOf({ passed: 3 }, { code: null, signal: "SIGSEGV" })).toBe("3 passed, 1 failed, 0 skipped");
});

test("a process that did not end in time counts as a failure, whatever it wrote", () => {
  expect(lineOf({ passed: 3 }, { code: null, timedOut: true })).toBe("3 passed, 1 failed, 0 skipped");
});

test("a process that wrote no results counts as a failure, even when it ended well", () => {
  expect(lineOf(undefined)).toBe("0 passed, 1 failed, 0 skipped");
});

test("a suite that ran nothing counts as a failure", () => {
  expect(lineOf({})).toBe("0 passed, 1 failed, 0 skipped");
});

test("an error that the runtime only prints counts as a failure where the suite names its words", () => {
  const output = "all well\nuncaught exception; source = timer";
  expect(lineOf({ passed: 3 }, { output }, /^uncaught/m)).toBe("3 passed, 1 failed, 0 skipped");
  expect(lineOf({ passed: 3 }, { output })).toBe("3 passed, 0 failed, 0 skipped");
});
