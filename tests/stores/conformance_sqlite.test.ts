import { describe, test } from "vitest";
import { conformance } from "../../src/testing/mod.ts";
import { fakeSqliteSubject, volatileSqliteSubject } from "../server/support/subjects.ts";

describe("SQLite keeps the contract", () => {
  for (const { group, name, run } of conformance(fakeSqliteSubject())) test(`${group}: ${name}`, run);
});

describe("SQLite without a file keeps the contract", () => {
  for (const { group, name, run } of conformance(volatileSqliteSubject())) test(`${group}: ${name}`, run);
});
