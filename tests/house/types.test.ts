import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { inRepository } from "../../scripts/lib/paths.mjs";
import { run } from "../../scripts/lib/run.mjs";
import { toolNode } from "../../scripts/lib/runtimes.mjs";
import { toolEnvironment } from "../../scripts/lib/tools.mjs";
import { filesBelow } from "./support/graph.ts";

/**
 * Type tests are files in tests/types: what must not compile stands behind `@ts-expect-error`, and each such line
 * has a neighbour that compiles. Both type checkers read them with everything else: see `tools.test.ts`.
 */
const files = filesBelow("tests/types", ".ts");

test("there are type tests", () => {
  expect(files.length).toBeGreaterThan(0);
});

test("a wrong name is answered with the names of the jobs, and a wrong option with its own", async () => {
  const folder = mkdtempSync(join(tmpdir(), "relevo types "));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(
    join(folder, "program.ts"),
    `import { createRelay, type StandardSchema } from ${JSON.stringify(inRepository("mod.ts"))};
declare const schema: StandardSchema<number, number>;
const relay = createRelay({ jobs: { "mail.send": schema, pay: { schema, queue: "billing" } } });
createRelay({ jobs: { slow: { schema, attempts: 3 } } });
await relay.dispatch("mail.sned", 1);
relay.handle("pya", () => undefined);
`,
  );
  const extended = inRepository("tsconfig.base.json");
  const config = { extends: extended, compilerOptions: { types: [] }, include: ["program.ts"] };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
  const tsc = inRepository("node_modules/typescript/bin/tsc");
  const { output } = await run(toolNode(), [tsc, "-p", folder, "--pretty", "false"], {
    timeout: 240_000,
    env: toolEnvironment(),
  });
  const wanted = `is not assignable to parameter of type '"mail.send" | "pay"'.`;
  expect(output).toContain(`Argument of type '"mail.sned"' ${wanted}`);
  expect(output).toContain(`Argument of type '"pya"' ${wanted}`);
  expect(output.match(/program\.ts\(4,/g), output).toHaveLength(1);
  expect(output).toContain("A job has no option 'attempts'");
}, 310_000);

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
