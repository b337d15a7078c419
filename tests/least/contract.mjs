/**
 * SQLite's contract as a plain script, for runtimes that no test runner supports: the published suite on the packed
 * package, one line of JSON for each case. Expects the subject of the tests beside it, as JavaScript. Arguments: which
 * part of the cases, from 0, and of how many.
 */
import process from "node:process";
import { conformance } from "@relevo/relevo/testing";

// Written by the test that runs this.
const { fakeSqliteSubject } = await import(new URL("subjects.mjs", import.meta.url).href);
const cases = conformance(fakeSqliteSubject());
const [part = 0, parts = 1] = process.argv.slice(2).map(Number);
for (const [index, { group, name, run }] of cases.entries()) {
  if (index % parts !== part) continue;
  const error = await run().then(() => undefined, (thrown) => thrown?.stack ?? String(thrown));
  process.stdout.write(`${JSON.stringify({ name: `${group}: ${name}`, error })}\n`);
}
