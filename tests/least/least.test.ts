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
import { fakeSqliteSubject } from "../server/support/subjects.ts";

/** Processes among which the cases are divided: two cores, and much of a case is waiting. */
const PARTS = 2;
const folder = mkdtempSync(join(tmpdir(), "relevo least "));
const project = join(folder, "project");
const env = toolEnvironment();
/** The pages of a first hour: the README, and those that need no more than valibot. */
const HOUR = [
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
const hour = HOUR.flatMap((page) => programs(readFileSync(inRepository(page), "utf8")))
  .filter(({ code }) => !/export default|"node:test"/.test(code));
const cases = conformance(fakeSqliteSubject()).map(({ group, name }) => `${group}: ${name}`);

beforeAll(async () => {
  await installPacked(await pack(folder), project);
  cpSync(inRepository("tests/least/contract.mjs"), join(project, "contract.mjs"));
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
          timeout: 120_000,
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

for (const version of least) {
  describe.skipIf(!existsSync(version.binary))(`${version.runtime} ${version.version}`, () => {
    describe("the first hour, from the packed package", () => {
      test.each(hour.map((program, index) => ({ ...program, index })))(
        "the program of '$title' does what its page says",
        async ({ code, output, index }) => {
          const place = join(project, `${version.runtime}-${version.version}-${index}`);
          mkdirSync(place);
          writeFileSync(join(place, "program.mjs"), stripTypeScriptTypes(code));
          const result = await run(version.binary, [...version.before, "program.mjs"], {
            timeout: 110_000,
            env,
            cwd: place,
          });
          expect(result.code, result.output).toBe(0);
          if (output !== undefined) expect(plain(result.output)).toBe(plain(output));
        },
        120_000,
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
