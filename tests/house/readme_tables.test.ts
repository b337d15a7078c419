import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { inRepository } from "../../scripts/lib/paths.mjs";
import { withTables } from "./support/readme.ts";

test("the tables of the README are those that `npm run readme` writes", () => {
  const readme = readFileSync(inRepository("README.md"), "utf8");
  expect(withTables(readme)).toBe(readme);
});
