/* @ts-self-types="./tools.d.mts" */
import { existsSync } from "node:fs";
import { inRepository } from "./paths.mjs";
import { binaryOf, toolNode } from "./runtimes.mjs";

/** Every tool that must find nothing, with what it claims: `npm run check` runs them, and the house tests too. */
export function tools() {
  const deno = binaryOf("deno") ?? "deno";
  const tsc = (project) => [toolNode(), [inRepository("node_modules/typescript/bin/tsc"), "-p", project]];
  const entries = [
    "mod.ts",
    "src/cli/mod.ts",
    "src/codecs/mod.ts",
    "src/codecs/rich.ts",
    "src/config/mod.ts",
    "src/connect.ts",
    "src/http/mod.ts",
    "src/otel/mod.ts",
    "src/prometheus/mod.ts",
    "src/cron/mod.ts",
    "src/middleware/mod.ts",
    "src/transports/nats/mod.ts",
    "src/transports/redis/mod.ts",
    "src/transports/sqlite/mod.ts",
    "src/testing/mod.ts",
  ];
  const checked = ["mod.ts", "src", "tests", "examples", "bench"].filter((path) =>
    existsSync(inRepository(path))
  );
  return [
    tool("fmt", "every file is formatted", deno, ["fmt", "--check"]),
    tool("lint", "the linter finds nothing", deno, ["lint"]),
    tool("tsc", "everything compiles under tsc", ...tsc("tsconfig.json")),
    tool("tsc core", "the core compiles under tsc without Node's types", ...tsc("tsconfig.core.json")),
    tool("deno check", "everything compiles under deno, the examples of comments too", deno, [
      "check",
      "--doc",
      "--quiet",
      ...checked,
    ]),
    tool("doc", "every public symbol is documented and its types are public", deno, [
      "doc",
      "--lint",
      "--quiet",
      ...entries,
    ]),
    tool("doc tests", "every example of the docs runs", deno, [
      "test",
      "--doc",
      "--no-check",
      "-A",
      "--quiet",
      "mod.ts",
      "src",
    ]),
    tool("publish", "a dry run of the release to JSR finds nothing to refuse", toolNode(), [
      inRepository("scripts/release.mjs"),
      "jsr",
      "--dry-run",
    ]),
    {
      ...tool("sizes", "no entry is larger, slower or more than it should be", toolNode(), [
        inRepository("scripts/sizes.mjs"),
      ]),
      tell: true,
    },
  ];
}

/** What a tool sees of the environment: no colours, no look for news. */
export function toolEnvironment() {
  const env = { ...process.env, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" };
  delete env.NODE_OPTIONS;
  delete env.FORCE_COLOR;
  delete env.RUST_BACKTRACE;
  return env;
}

function tool(name, claim, command, args) {
  return { name, claim, command, args };
}
