import { readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { inRepository } from "../../scripts/lib/paths.mjs";
import { run } from "../../scripts/lib/run.mjs";
import { binaryOf, toolNode } from "../../scripts/lib/runtimes.mjs";
import { toolEnvironment } from "../../scripts/lib/tools.mjs";
import { filesBelow } from "./support/graph.ts";

/**
 * Type tests are files in tests/types: what must not compile stands behind `@ts-expect-error`, and each such line
 * has a neighbour that compiles. Both type checkers read them; an error in a file fails that file's test.
 */
const files = filesBelow("tests/types", ".ts");
const reports = { tsc: "", deno: "" };

beforeAll(async () => {
  const env = toolEnvironment();
  const tsc = inRepository("node_modules/typescript/bin/tsc");
  const [first, second] = await Promise.all([
    run(toolNode(), [tsc, "-p", "tsconfig.json", "--pretty", "false"], { timeout: 60_000, env }),
    run(binaryOf("deno") ?? "deno", ["check", "--quiet", ...files], { timeout: 60_000, env }),
  ]);
  reports.tsc = first.output;
  reports.deno = second.output;
  if (second.code !== 0 && !second.output.includes("tests/types/")) throw new Error(second.output);
}, 70_000);

test("there are type tests", () => {
  expect(files.length).toBeGreaterThan(0);
});

test.each(files.flatMap((file) => [["tsc", file] as const, ["deno", file] as const]))(
  "%s finds in %s exactly the errors that it names",
  (checker, file) => {
    const errors = reports[checker].split(/\n(?=TS\d+|\S+\(\d+,\d+\): error)/).filter((part) =>
      part.includes(file)
    );
    expect(errors).toEqual([]);
  },
);

test.each(files)("every line of %s that must not compile has a neighbour that does", (file) => {
  const blocks = readFileSync(inRepository(file), "utf8").split(/\n\s*\n/);
  const lonely = blocks.filter((block) => {
    const code = block.split("\n").map((line) => line.trim()).filter((line) => line !== "");
    const refused = code.filter((line) => line.startsWith("// @ts-expect-error")).length;
    const plain = code.filter((line) => !line.startsWith("//") && !/^[)}\]]+[;,)]*$/.test(line)).length;
    return refused > 0 && plain <= refused;
  });
  expect(lonely).toEqual([]);
});
