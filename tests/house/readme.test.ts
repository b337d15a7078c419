import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { inRepository } from "../../scripts/lib/paths.mjs";
import { run } from "../../scripts/lib/run.mjs";
import { binaryOf, toolNode } from "../../scripts/lib/runtimes.mjs";
import { toolEnvironment } from "../../scripts/lib/tools.mjs";
import { filesBelow } from "./support/graph.ts";
import { programs, withTables } from "./support/readme.ts";

const readme = readFileSync(inRepository("README.md"), "utf8");
const pages = ["README.md", ...filesBelow("docs", ".md")];
const all = pages.flatMap((page) =>
  programs(readFileSync(inRepository(page), "utf8")).map((program) => ({ ...program, page }))
);
const folder = mkdtempSync(join(tmpdir(), "relevo readme "));
const env = toolEnvironment();

/** A package of the same name, so that programs find it by that name, whose files are those of the repository. */
beforeAll(() => {
  const { name, exports } = JSON.parse(readFileSync(inRepository("deno.json"), "utf8")) as {
    readonly name: string;
    readonly exports: Readonly<Record<string, string>>;
  };
  const sources = Object.entries(exports).map(([entry, file]) => [entry, file.replace("./", "./house/")]);
  const manifest = { name, type: "module", exports: Object.fromEntries(sources) };
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
  symlinkSync(inRepository(""), join(folder, "house"), "junction");
  symlinkSync(inRepository("node_modules"), join(folder, "node_modules"), "junction");
  all.forEach(({ code }, index) => {
    mkdirSync(join(folder, `${index}`));
    writeFileSync(join(folder, `${index}`, "program.ts"), code);
  });
  const config = { extends: inRepository("tsconfig.base.json"), include: ["*/program.ts"] };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the tables of the README are those that `npm run readme` writes", async () => {
  expect(await withTables(readme)).toBe(readme);
}, 60_000);

test.each(all.map((program, index) => ({ ...program, index })))(
  "the program of '$title' does what $page says",
  async ({ output, index }) => {
    const result = await run(
      binaryOf("node24") ?? toolNode(),
      ["--disable-warning=ExperimentalWarning", "program.ts"],
      { timeout: 20_000, env, cwd: join(folder, `${index}`) },
    );
    expect(result.code, result.output).toBe(0);
    if (output !== undefined) expect(result.output).toBe(output);
  },
  30_000,
);

test("every program of the README and of the pages in docs/ compiles", async () => {
  const tsc = inRepository("node_modules/typescript/bin/tsc");
  const { code, output } = await run(toolNode(), [tsc, "-p", folder, "--pretty", "false"], {
    timeout: 60_000,
    env,
  });
  expect(code, output).toBe(0);
}, 70_000);

test("the README's first program has ten lines or fewer", () => {
  expect(all[0]?.code.split("\n").filter((line) => line.trim() !== "").length).toBeLessThanOrEqual(10);
});

/** The names of a type's members, or of a union's texts, in a source file. */
function namesIn(file: string, start: string, pattern: RegExp): readonly string[] {
  const source = readFileSync(inRepository(file), "utf8");
  const from = source.indexOf(start);
  const part = source.slice(from, source.indexOf("\n\n", from));
  return [...part.matchAll(pattern)].map(([, name]) => name ?? "").toSorted();
}

/** The first cells of the table under a heading. */
function cellsUnder(heading: string): readonly string[] {
  const section = readme.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
  return [...section.matchAll(/^\| `([\w.]+)`/gm)].map(([, name]) => name ?? "").toSorted();
}

test("the README explains every error code, and no other", () => {
  const codes = namesIn("src/errors.ts", "export type ErrorCode", /"([A-Z_]+)"/g);
  expect(codes.length).toBeGreaterThan(0);
  expect(cellsUnder("Errors")).toEqual(codes);
});

test("the README explains every event, and no other", () => {
  const events = namesIn("src/events.ts", "export interface EventMap", /^ {2}readonly (\w+):/gm);
  expect(events.length).toBeGreaterThan(0);
  expect(cellsUnder("Events")).toEqual(events);
});

test("the README explains every option of a dispatch, and no other", () => {
  const member = /^ {2}readonly (\w+)\??:/gm;
  const ofJob = namesIn("src/prepare.ts", "export interface JobSettings", member);
  const ofCall = namesIn("src/dispatch.ts", "export interface DispatchOptions", member);
  expect(Math.min(ofJob.length, ofCall.length)).toBeGreaterThan(0);
  expect(cellsUnder("Dispatch")).toEqual([...ofJob, ...ofCall].toSorted());
});
