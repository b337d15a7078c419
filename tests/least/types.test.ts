import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { inRepository } from "../../scripts/lib/paths.mjs";
import { run } from "../../scripts/lib/run.mjs";
import { toolNode } from "../../scripts/lib/runtimes.mjs";
import { toolEnvironment } from "../../scripts/lib/tools.mjs";
import { installPacked, pack } from "../house/support/packed.ts";

const folder = mkdtempSync(join(tmpdir(), "relevo types "));
const project = join(folder, "project");

/** A program that uses every entry point, and the types of the web and of disposal that a relay's have in them. */
function programOf(entries: readonly string[]): string {
  const imports = entries.map((entry, index) => `import * as entry${index} from "${entry}";`);
  return `${imports.join("\n")}
import { createRelay, type JobEvents, type StandardSchema } from "@relevo/relevo";
declare const schema: StandardSchema<number, number>;
const stop = new AbortController();
export async function main(): Promise<JobEvents> {
  await using relay = createRelay({ jobs: { n: schema } });
  relay.events.addEventListener("failed", ({ detail }) => detail.job.id.length, { once: true });
  using handler = relay.handle("n", (n, { signal }) => signal.aborted ? n.toFixed() : undefined);
  await relay.run({ signal: stop.signal });
  return handler === undefined ? relay.events : relay.events;
}
export const entries = [${entries.map((_, index) => `entry${index}`).join(", ")}];
`;
}

beforeAll(async () => {
  await installPacked(await pack(folder), project, ["@types/node", "undici-types"]);
  mkdirSync(join(project, "node_modules/@cloudflare"));
  const workers = "node_modules/@cloudflare/workers-types";
  symlinkSync(inRepository(`tests/least/${workers}`), join(project, workers), "junction");
  const { name, exports } = JSON.parse(readFileSync(inRepository("package.json"), "utf8")) as {
    readonly name: string;
    readonly exports: Readonly<Record<string, unknown>>;
  };
  writeFileSync(
    join(project, "program.ts"),
    programOf(Object.keys(exports).map((entry) => entry.replace(".", name))),
  );
}, 490_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const SETS = [
  { set: "Node's types", lib: ["es2022"], types: ["node"] },
  { set: "those of workers", lib: ["es2022"], types: ["@cloudflare/workers-types"] },
  { set: "the web's", lib: ["es2022", "dom"], types: [] },
  { set: "Node's and the web's", lib: ["esnext", "dom"], types: ["node"] },
] as const;
const WAYS = [
  { module: "nodenext", moduleResolution: "nodenext" },
  { module: "esnext", moduleResolution: "bundler" },
] as const;

test.each(SETS.flatMap((set) => WAYS.map((way) => ({ ...set, ...way }))))(
  "a program on the packed package compiles with $set under $moduleResolution, the package's types checked too",
  async ({ lib, types, module, moduleResolution }) => {
    const config = join(project, `tsconfig.${module}.${types.join().replace(/\W/g, "")}${lib.length}.json`);
    const compilerOptions = {
      target: "es2022",
      module,
      moduleResolution,
      lib,
      types,
      strict: true,
      skipLibCheck: false,
      noEmit: true,
    };
    writeFileSync(config, JSON.stringify({ compilerOptions, files: ["program.ts"] }));
    const tsc = inRepository("node_modules/typescript/bin/tsc");
    const { code, output } = await run(toolNode(), [tsc, "-p", config, "--pretty", "false"], {
      timeout: 240_000,
      env: toolEnvironment(),
      cwd: project,
    });
    expect(code, output).toBe(0);
  },
  250_000,
);
