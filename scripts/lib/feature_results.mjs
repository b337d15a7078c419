import { writeFileSync } from "node:fs";
import { compareNames, namesInSources } from "./feature_names.mjs";
import { pageOf, partsOf, readResults, readRows } from "./features.mjs";
import { inRepository } from "./paths.mjs";

/**
 * Keeps what suites showed: of each suite the names that passed. `complete`: of every suite there is; else what other
 * suites showed before stays. `whole`: the suites ran without filters; else what they showed before stays, but for names
 * that no test has any more.
 */
export function writeResults({ date, complete, whole, suites }) {
  const kept = complete ? new Map() : readNames();
  const stale = new Set(compareNames(namesInSources(), [...kept.keys()]).unknown);
  for (const [name, by] of kept) {
    if (whole) { for (const suite of Object.keys(suites)) by.delete(suite); }
    if (by.size === 0 || stale.has(name)) kept.delete(name);
  }
  for (const [suite, passed] of Object.entries(suites)) {
    for (const [name, transports] of passed) {
      kept.set(name, (kept.get(name) ?? new Map()).set(suite, [...transports].sort()));
    }
  }
  const sorted = [...kept].sort(([a], [b]) => a < b ? -1 : 1);
  const tests = Object.fromEntries(sorted.map(([name, by]) => [name, shorten(by)]));
  const ran = [...new Set(sorted.flatMap(([, by]) => [...by.keys()]))].sort();
  const text = JSON.stringify({ date, complete, suites: ran, tests }, undefined, 1);
  writeFileSync(inRepository("tests/features.json"), `${text}\n`);
  writePage();
}

/** Makes the page anew. */
export function writePage() {
  writeFileSync(inRepository("docs/features.md"), pageOf(readRows(), readResults()));
}

/** `memory: node22 node24, SQLite: server-node24`. */
function shorten(by) {
  const transports = new Map();
  for (const [suite, on] of by) {
    for (const each of on) transports.set(each, [...transports.get(each) ?? [], suite]);
  }
  return [...transports].sort(([a], [b]) => a < b ? -1 : 1)
    .map(([transport, suites]) => `${transport || "-"}: ${suites.sort().join(" ")}`).join(", ");
}

function readNames() {
  let tests;
  try {
    ({ tests } = readResults());
  } catch {
    return new Map();
  }
  return new Map(
    Object.entries(tests).map(([name, text]) => {
      const by = new Map();
      for (const [transport, suites] of partsOf(text)) {
        for (const suite of suites) by.set(suite, [...by.get(suite) ?? [], transport]);
      }
      return [name, by];
    }),
  );
}
