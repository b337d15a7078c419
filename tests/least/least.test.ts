import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { inRepository } from "../../scripts/lib/paths.mjs";
import { run } from "../../scripts/lib/run.mjs";
import { least, type LeastRuntime } from "../../scripts/lib/runtimes.mjs";
import { toolEnvironment } from "../../scripts/lib/tools.mjs";
import { conformance } from "../../src/testing/mod.ts";
import { installPacked, pack } from "../house/support/packed.ts";
import { programs } from "../house/support/readme.ts";
import { ALL } from "../server/support/all.ts";
import { fakeSqliteSubject } from "../server/support/subjects.ts";

/** Processes among which the cases are divided: two cores, and much of a case is waiting. */
const PARTS = 2;
const folder = mkdtempSync(join(tmpdir(), "relevo least "));
const project = join(folder, "project");
const env = toolEnvironment();
/** The pages of a first hour: the README, and those that need no more than valibot. */
const PAGES = [
  "README.md",
  ...[
    "starting",
    "dispatch",
    "handle",
    "workers",
    "retries",
    "stopping",
    "dead_letters",
    "topics",
    "events",
    "testing",
  ]
    .map((page) => `docs/guide/${page}.md`),
  ...["choosing", "memory", "sqlite", "broker"].map((page) => `docs/transports/${page}.md`),
];
/** What stands there for Node, Deno and Bun, and needs no test runner; a Worker's module runs nothing itself. */
const hour = PAGES.flatMap((page) =>
  programs(readFileSync(inRepository(page), "utf8")).map((program) => ({ ...program, page }))
).filter(({ code }) => !/export default|"node:test"/.test(code));
const cases = conformance(fakeSqliteSubject()).map(({ group, name }) => `${group}: ${name}`);

beforeAll(async () => {
  await installPacked(await pack(folder), project);
  for (const script of ["contract.mjs", "page.mjs"]) {
    cpSync(inRepository(`tests/least/${script}`), join(project, script));
  }
  writeFileSync(join(project, "subjects.mjs"), packedSubjects());
}, 490_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The subjects of the server tests as JavaScript over the packed package; its own clock is no public name. */
function packedSubjects(): string {
  writeFileSync(join(project, "runtime.mjs"), javaScript("src/runtime.ts"));
  return javaScript("tests/server/support/subjects.ts")
    .replace("../../../src/runtime.ts", "./runtime.mjs")
    .replace("../../../src/testing/mod.ts", "@relevo/relevo/testing")
    .replace("../../../src/transports/sqlite/mod.ts", "@relevo/relevo/sqlite");
}

function javaScript(file: string): string {
  return stripTypeScriptTypes(readFileSync(inRepository(file), "utf8"));
}

/** The quotes, breaks and commas with which `console.log` shows an object are each runtime's own. */
function plain(output: string): string {
  return output.replaceAll('"', "'").replace(/,\s*([\]}])/g, " $1").replace(/\s+/g, " ");
}

/** Every case's error, or undefined where it passed. */
async function contractOn(
  { binary, before }: LeastRuntime,
): Promise<ReadonlyMap<string, string | undefined>> {
  const parts = await Promise.all(
    Array.from(
      { length: PARTS },
      (_, part) =>
        run(binary, [...before, "contract.mjs", `${part}`, `${PARTS}`], {
          timeout: 400_000,
          env,
          cwd: project,
        }),
    ),
  );
  const lines = parts.flatMap(({ output }) => output.split("\n").filter((line) => line.startsWith("{")));
  const results = lines.map((line) => JSON.parse(line) as { readonly name: string; readonly error?: string });
  const broken = parts.filter(({ code }) => code !== 0).map(({ output }) => output.slice(-2_000));
  if (broken.length > 0) throw new Error(`The contract's script failed: ${broken.join("\n")}`);
  return new Map(results.map(({ name, error }) => [name, error]));
}

/** What the programs of each page print: those of a page run one after another in a process, each in a folder of its own. */
function printedOn(
  { runtime, version, binary, before }: LeastRuntime,
): (index: number) => Promise<string | undefined> {
  const pages = new Map<string, ReturnType<typeof run>>();

  function ran(page: string): ReturnType<typeof run> {
    const folders = hour.flatMap((program, index) => {
      if (program.page !== page) return [];
      const folder = join(project, `${runtime}-${version}-${index}`);
      mkdirSync(folder);
      writeFileSync(join(folder, "program.mjs"), stripTypeScriptTypes(program.code));
      return [folder];
    });
    return run(binary, [...before, "page.mjs", ...folders], { timeout: 240_000, env, cwd: project });
  }

  return async (index) => {
    const page = hour[index]?.page ?? "";
    const running = pages.get(page) ?? ran(page);
    pages.set(page, running);
    const { code, output } = await running;
    expect(code, output).toBe(0);
    const folder = join(project, `${runtime}-${version}-${index}`);
    const [, ...parts] = output.split("\0");
    return parts.find((part) => part.startsWith(`${folder}\n`))?.slice(folder.length + 1);
  };
}

for (const version of least.filter(({ later }) => ALL || !later)) {
  describe.skipIf(!existsSync(version.binary))(`${version.runtime} ${version.version}`, () => {
    describe("the first hour, from the packed package", () => {
      const printed = printedOn(version);
      test.each(hour.map((program, index) => ({ ...program, index })))(
        "the program of '$title' does what its page says",
        async ({ output, index }) => {
          const found = await printed(index);
          if (found === undefined) throw new Error("It did not run");
          if (output !== undefined) expect(plain(found)).toBe(plain(output));
        },
        250_000,
      );
    });

    describe("SQLite keeps the contract", () => {
      let results: ReadonlyMap<string, string | undefined> = new Map();
      beforeAll(async () => {
        results = await contractOn(version);
      }, 490_000);

      test.each(cases)("%s", (name) => {
        expect([...results.keys()]).toContain(name);
        expect(results.get(name)).toBeUndefined();
      });
    });
  });
}

test("README and manifest name the least versions", () => {
  const readme = readFileSync(inRepository("README.md"), "utf8");
  const { engines } = JSON.parse(readFileSync(inRepository("package.json"), "utf8")) as {
    readonly engines: Readonly<Record<string, string>>;
  };
  const short = (version: string): string => version.replace(/\.0$/, "");
  for (const { runtime, version } of least) {
    if (runtime !== "Node") expect(readme).toContain(`${runtime} ${short(version)} or later`);
  }
  const [oldest = "", next = ""] = least.map(({ version }) => short(version));
  expect(engines.node).toBe(`^${oldest} || >=${next}`);
  expect(readme).toContain(`Node ${oldest} or later (of Node 23, ${next})`);
});
