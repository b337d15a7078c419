/**
 * `npm run readme`: writes the tables of README.md, the pages of docs/reference/ and llms.txt anew, from what the conformance suite
 * shows and the source says.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { inRepository } from "./lib/paths.mjs";
import { toolNode } from "./lib/runtimes.mjs";

if (process.features.typescript) {
  const { withTables } = await import("../tests/house/support/readme.ts");
  const { reference } = await import("../tests/house/support/reference.ts");
  for (const [path, text] of reference()) writeFileSync(inRepository(path), text);
  const file = inRepository("README.md");
  writeFileSync(file, withTables(readFileSync(file, "utf8")));
} else {
  // This Node cannot read TypeScript.
  const args = ["--disable-warning=ExperimentalWarning", ...process.argv.slice(1)];
  process.exit(spawnSync(toolNode(), args, { stdio: "inherit" }).status ?? 1);
}
