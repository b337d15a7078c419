import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { inRepository } from "../../scripts/lib/paths.mjs";
import { run } from "../../scripts/lib/run.mjs";
import { binaryOf, toolNode } from "../../scripts/lib/runtimes.mjs";
import { toolEnvironment } from "../../scripts/lib/tools.mjs";
import { compatibilityDate } from "./support/dates.ts";

/**
 * The pool that runs the web suite in workerd adds globals that workerd has not. These cases run in the bare
 * binary: the core compiled module by module, no bundler, with and without Node's compatibility.
 */
const folder = mkdtempSync(join(tmpdir(), "relevo-workerd-"));
const env = toolEnvironment();
const cases = readdirSync(inRepository("tests/workerd/cases")).map((file) => file.replace(/\.ts$/, ""));

beforeAll(async () => {
  const project = {
    extends: inRepository("tsconfig.build.json"),
    compilerOptions: {
      rootDir: inRepository(""),
      outDir: folder,
      noCheck: true,
      declaration: false,
      types: [],
    },
    files: cases.map((name) => inRepository(`tests/workerd/cases/${name}.ts`)),
  };
  // Without declarations there is nothing to isolate.
  Object.assign(project.compilerOptions, { isolatedDeclarations: false });
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(project));
  const tsc = inRepository("node_modules/typescript/bin/tsc");
  const { code, output } = await run(toolNode(), [tsc, "-p", folder], { timeout: 240_000, env });
  if (code !== 0) throw new Error(`Cannot compile the cases: ${output}`);
}, 250_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs one case; the first module is the worker's main module, so the case comes first. */
async function workerd(
  name: string,
  flags: readonly string[],
): Promise<{ readonly ok: boolean; readonly output: string }> {
  const main = `tests/workerd/cases/${name}.js`;
  const others = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((path) => path.split(sep).join("/"))
    .filter((path) => path.endsWith(".js") && !path.startsWith("tests/"));
  const modules = [main, ...others].map((path) => `(name = "${path}", esModule = embed "${path}")`);
  const config = join(folder, `${name}-${flags.join("-")}.capnp`);
  writeFileSync(
    config,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (services = [(name = "main", worker = .worker)]);
const worker :Workerd.Worker = (
  modules = [\n    ${modules.join(",\n    ")}\n  ],
  compatibilityDate = "${compatibilityDate}",
  compatibilityFlags = [${flags.map((flag) => `"${flag}"`).join(", ")}],
);
`,
  );
  const { code, output } = await run(binaryOf("workerd") ?? "workerd", ["test", config], {
    timeout: 240_000,
    env,
  });
  return { ok: code === 0, output };
}

const sound = cases.filter((name) => name !== "failure");

test.each(sound)("%s works in bare workerd without flags", async (name) => {
  const { ok, output } = await workerd(name, []);
  expect(ok, output).toBe(true);
});

test.each(sound)("%s works in bare workerd with nodejs_compat", async (name) => {
  const { ok, output } = await workerd(name, ["nodejs_compat"]);
  expect(ok, output).toBe(true);
});

test("a case that fails is noticed", async () => {
  const { ok, output } = await workerd("failure", []);
  expect(ok).toBe(false);
  expect(output).toContain("Fails on purpose, with function");
});
