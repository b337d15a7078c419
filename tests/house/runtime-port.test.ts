import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { inRepository } from "../../scripts/lib/paths.mjs";
import { run } from "../../scripts/lib/run.mjs";
import { binaryOf } from "../../scripts/lib/runtimes.mjs";
import { toolEnvironment } from "../../scripts/lib/tools.mjs";

/** The names that the rule reports in a source file that stands at `path`. */
async function reported(path: string, source: string): Promise<readonly string[]> {
  const folder = mkdtempSync(join(tmpdir(), "relevo-lint-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const config = join(folder, "deno.json");
  const lint = { plugins: ["./scripts/lint/runtime-port.mjs"], rules: { tags: [] } };
  // The rule knows the repository by its own place in it.
  mkdirSync(join(folder, "scripts/lint"), { recursive: true });
  copyFileSync(
    inRepository("scripts/lint/runtime-port.mjs"),
    join(folder, "scripts/lint/runtime-port.mjs"),
  );
  writeFileSync(config, JSON.stringify({ lint }));
  mkdirSync(join(folder, path, ".."), { recursive: true });
  writeFileSync(join(folder, path), source);
  const { output } = await run(
    binaryOf("deno") ?? "deno",
    ["lint", "--json", "--config", config, join(folder, path)],
    { timeout: 120_000, env: toolEnvironment(), cwd: folder },
  );
  const { diagnostics, errors } = JSON.parse(output) as {
    readonly diagnostics: readonly { readonly message: string }[];
    readonly errors: readonly unknown[];
  };
  expect(errors).toEqual([]);
  return diagnostics.map(({ message }) => /'(.+?)'/.exec(message)?.[1] ?? message);
}

const forbidden = [
  "Date.now",
  "Math.random",
  "AbortSignal.timeout",
  "setTimeout",
  "setInterval",
  "setImmediate",
  "queueMicrotask",
  "performance",
  "crypto",
  "process",
];

test("time, chance and the process are found wherever they are used as values", async () => {
  const uses = forbidden.map((name, i) => `export const v${i} = [${name}];`).join("\n");
  expect(await reported("src/sample.ts", uses)).toEqual(forbidden);
});

test("a clock behind globalThis, a short property or a new date is found too", async () => {
  const source = "export const a = [globalThis.setTimeout, { crypto }, new Date(), Date()];";
  expect(await reported("src/sample.ts", source)).toEqual([
    "globalThis.setTimeout",
    "crypto",
    "new Date()",
    "Date()",
  ]);
});

test("types, properties, comments and dates of a given instant are left alone", async () => {
  const source = `// Date.now() and setTimeout
    export interface Port { setTimeout(): void; crypto: typeof crypto }
    export const a = (port: Port): unknown => [port.setTimeout(), port.crypto, new Date(0), "process"];
    export const b = { process: 1, crypto() {} };`;
  expect(await reported("src/sample.ts", source)).toEqual([]);
});

test("the runtime port itself and the test kit are free", async () => {
  expect(await reported("src/runtime.ts", "export const a = Date.now();")).toEqual([]);
  expect(await reported("src/testing/clock.ts", "export const a = setTimeout;")).toEqual([]);
});
