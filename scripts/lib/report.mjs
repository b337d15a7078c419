/* @ts-self-types="./report.d.mts" */
import { readFileSync } from "node:fs";

/**
 * The counts of one suite, from what vitest wrote and how its process ended. A file that could not be loaded, a run
 * that wrote nothing, ran nothing, was cut off or ended badly without a failing test: each counts as one failure.
 */
export function countsOf(json, { code, signal, timedOut, output }, crash) {
  let results;
  try {
    results = JSON.parse(readFileSync(json, "utf8"));
  } catch {
    const why = timedOut ? "it did not end in time" : `it ended with ${signal ?? code} and wrote no results`;
    return { passed: 0, failed: 1, skipped: 0, why };
  }
  const unloaded =
    results.testResults.filter((file) =>
      file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed")
    ).length;
  const counts = {
    passed: results.numPassedTests,
    failed: results.numFailedTests + unloaded,
    skipped: results.numPendingTests + results.numTodoTests,
    why: undefined,
  };
  if (counts.failed > 0) return counts;
  if (timedOut) return { ...counts, failed: 1, why: "it did not end in time" };
  if (crash?.test(output)) return { ...counts, failed: 1, why: "no test failed but an error was not caught" };
  if (code !== 0) return { ...counts, failed: 1, why: `no test failed but it ended with ${signal ?? code}` };
  if (counts.passed + counts.skipped === 0) return { ...counts, failed: 1, why: "it ran nothing" };
  return counts;
}

/** `412 passed, 0 failed, 0 skipped`. */
export function line({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}
