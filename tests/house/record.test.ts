import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { inRepository } from "../../scripts/lib/paths.mjs";
import { digestOf, readRecord, sentenceOf } from "../../scripts/lib/record.mjs";
import { suites } from "../../scripts/lib/suites.mjs";

const record = readRecord();

test("CONTRIBUTING.md says when the last complete run was, and what it counted", () => {
  const page = readFileSync(inRepository("CONTRIBUTING.md"), "utf8");
  const said = /<!-- all -->.*<!-- \/all -->/s.exec(page)?.[0];
  expect(said).toBe(record.date === undefined ? "<!-- all --><!-- /all -->" : sentenceOf(record));
});

test("a complete run is kept only when nothing failed and nothing was skipped", () => {
  expect([record.failed ?? 0, record.skipped ?? 0]).toEqual([0, 0]);
});

test("the storms of every transport that has some run when its files change", () => {
  const transports = suites.flatMap(({ storms }) => storms === undefined ? [] : [storms]);
  expect(transports).toEqual(["redis", "nats"]);
  for (const transport of Object.keys(record.storms)) expect(transports).toContain(transport);
  expect(new Set(transports.map(digestOf)).size).toBe(transports.length);
});
