/**
 * `npm run check [-- --fix]`: every tool and every check of the repository on itself, within seconds. With `--fix`
 * it formats first.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { install } from "./lib/install.mjs";
import { countsOf, line } from "./lib/report.mjs";
import { run } from "./lib/run.mjs";
import { binaryOf, toolNode } from "./lib/runtimes.mjs";
import { commandOf, suites } from "./lib/suites.mjs";
import { toolEnvironment, tools } from "./lib/tools.mjs";

install("tests/runtimes", "the runtimes to check with (Node 22, 24, 26, Deno, Bun, workerd)");
if (!install("", "the development dependencies", { node: toolNode() })) process.exit(1);

const env = toolEnvironment();
if (process.argv.includes("--fix")) {
  const { code, output } = await run(binaryOf("deno"), ["fmt"], { timeout: 300_000, env });
  process.stdout.write(output);
  process.exit(code ?? 1);
}

let failed = 0;
const waiting = [...tools()];
await Promise.all([lane(), lane()]);
await house();
process.exit(failed > 0 ? 1 : 0);

/** One of two lanes: two cores, two tools at a time. */
async function lane() {
  for (let tool = waiting.shift(); tool !== undefined; tool = waiting.shift()) {
    const { code, timedOut, output, ms } = await run(tool.command, tool.args, { timeout: 300_000, env });
    const verdict = code === 0 ? "ok" : timedOut ? "did not end in time" : "FAILED";
    report(tool.name, verdict, ms, code === 0 ? "" : output);
    if (code === 0 && tool.tell) console.log(output.trimEnd());
  }
}

/** The house tests but the one that runs the tools again. */
async function house() {
  const folder = mkdtempSync(join(tmpdir(), "relevo-check-"));
  const json = join(folder, "house.json");
  const suite = suites.find(({ name }) => name === "house");
  const { binary, args } = commandOf(suite, json);
  const result = await run(binary, [...args, "--exclude", "tests/house/tools.test.ts"], {
    timeout: suite.timeout,
    env: { ...env, CI: "true" },
  });
  const counts = countsOf(json, result);
  rmSync(folder, { recursive: true, force: true });
  const broken = counts.failed > 0;
  report("house", broken ? `FAILED: ${line(counts)}` : line(counts), result.ms, broken ? result.output : "");
}

function report(name, verdict, ms, output) {
  console.log(`${name.padEnd(12)}${verdict}  (${(ms / 1_000).toFixed(1)} s)`);
  if (output === "") return;
  failed++;
  console.log(output.trimEnd());
}
