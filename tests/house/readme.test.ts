import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bundle } from "../../scripts/lib/bundle.mjs";
import { inRepository } from "../../scripts/lib/paths.mjs";
import { run } from "../../scripts/lib/run.mjs";
import { binaryOf, toolNode } from "../../scripts/lib/runtimes.mjs";
import { toolEnvironment } from "../../scripts/lib/tools.mjs";
import { filesBelow } from "./support/graph.ts";
import { membersOf } from "./support/members.ts";
import { programs } from "./support/readme.ts";

const readme = readFileSync(inRepository("README.md"), "utf8");
const pages = ["README.md", ...filesBelow("docs", ".md")];
const all = pages.flatMap((page) =>
  programs(readFileSync(inRepository(page), "utf8")).map((program) => ({ ...program, page }))
);
const folder = mkdtempSync(join(tmpdir(), "relevo readme "));
const env = toolEnvironment();

/**
 * A package of the same name, so that programs find it by that name: its types are the repository's files, its code that
 * which npm ships, as each program would otherwise read some hundred files.
 */
beforeAll(async () => {
  const { name, exports } = JSON.parse(readFileSync(inRepository("deno.json"), "utf8")) as {
    readonly name: string;
    readonly exports: Readonly<Record<string, string>>;
  };
  const entries = Object.entries(exports).map(([entry, file]) => {
    const types = file.replace("./", "./house/");
    return [entry, { types, default: file.replace("./", "./dist/").replace(/\.ts$/, ".js") }];
  });
  const manifest = { name, type: "module", exports: Object.fromEntries(entries) };
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
  symlinkSync(inRepository(""), join(folder, "house"), "junction");
  symlinkSync(inRepository("node_modules"), join(folder, "node_modules"), "junction");
  all.forEach(({ code }, index) => {
    mkdirSync(join(folder, `${index}`));
    writeFileSync(join(folder, `${index}`, "program.ts"), code);
  });
  const config = { extends: inRepository("tsconfig.base.json"), include: ["*/program.ts"] };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
  await bundle(join(folder, "dist"));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each(all.map((program, index) => ({ ...program, index })))(
  "the program of '$title' does what $page says",
  async ({ output, index }) => {
    const result = await run(
      binaryOf("node24") ?? toolNode(),
      ["--disable-warning=ExperimentalWarning", "program.ts"],
      { timeout: 240_000, env, cwd: join(folder, `${index}`) },
    );
    expect(result.code, result.output).toBe(0);
    if (output !== undefined) expect(result.output).toBe(output);
  },
  250_000,
);

test("every program of the README and of the pages in docs/ compiles", async () => {
  const tsc = inRepository("node_modules/typescript/bin/tsc");
  const { code, output } = await run(toolNode(), [tsc, "-p", folder, "--pretty", "false"], {
    timeout: 240_000,
    env,
  });
  expect(code, output).toBe(0);
}, 250_000);

test("the README's first program has ten lines or fewer", () => {
  expect(all[0]?.code.split("\n").filter((line) => line.trim() !== "").length).toBeLessThanOrEqual(10);
});

test("the README is a first screen, two tables and links: at most 140 lines", () => {
  expect(readme.split("\n").length).toBeLessThanOrEqual(140);
});

test("the page of dispatch explains every option of a dispatch, and no other", () => {
  const page = readFileSync(inRepository("docs/guide/dispatch.md"), "utf8");
  const told = [...page.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name ?? "");
  const members = [
    membersOf("src/relay/prepare.ts", "JobSettings"),
    membersOf("src/relay/dispatch.ts", "DispatchOptions"),
  ];
  expect(told.toSorted()).toEqual(members.flat().map(({ name }) => name).toSorted());
});

test("what is not run as a program says so on its page", () => {
  const silent = pages.filter((page) => {
    const text = readFileSync(inRepository(page), "utf8");
    return /^```(typescript|go)$/m.test(text) && !/not compiled/i.test(text.replaceAll(/<!--.*?-->/g, ""));
  });
  expect(silent).toEqual([]);
});
