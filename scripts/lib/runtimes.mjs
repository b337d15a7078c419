/* @ts-self-types="./runtimes.d.mts" */
import { existsSync } from "node:fs";
import { inRepository } from "./paths.mjs";

const platform = `${process.platform === "win32" ? "win" : process.platform}-${process.arch}`;
const exe = process.platform === "win32" ? ".exe" : "";
const runtimes = "tests/runtimes/node_modules";

const deno = {
  "linux-x64": "linux-x64-glibc",
  "linux-arm64": "linux-arm64-glibc",
  "win-x64": "win32-x64",
  "win-arm64": "win32-arm64",
}[platform] ?? platform;

const bun = {
  "linux-arm64": "linux-aarch64",
  "darwin-arm64": "darwin-aarch64",
  "win-x64": "windows-x64",
  "win-arm64": "windows-aarch64",
}[platform] ?? platform;

const workerd = {
  "linux-x64": "linux-64",
  "darwin-x64": "darwin-64",
  "win-x64": "windows-64",
}[platform] ?? platform;

/** Every runtime that the tests run on: its name for `--runtime`, what it is called in reports, its binary. */
export const table = {
  node22: { title: "node 22.23.3", binary: nodeBinary(22) },
  node24: { title: "node 24.21.0", binary: nodeBinary(24) },
  node26: { title: "node 26.10.0", binary: nodeBinary(26) },
  deno: { title: "deno 2.9.5", binary: inRepository(`${runtimes}/@deno/${deno}/deno${exe}`) },
  bun: { title: "bun 1.4.5", binary: inRepository(`${runtimes}/@oven/bun-${bun}/bin/bun${exe}`) },
  workerd: {
    title: "workerd 1.20261023.1",
    binary: inRepository(`${runtimes}/@cloudflare/workerd-${workerd}/bin/workerd${exe}`),
  },
};

const QUIET = ["--disable-warning=ExperimentalWarning"];

/**
 * The least version of each runtime that the package promises to run on, in a manifest of their own, as only `npm test`
 * needs them. What stands before a script in their commands is `before`; `later` are the first of further majors of Node,
 * which a complete run alone looks at. Deno 2.6.0 and 2.6.1 forget an immediate until the next timer, and in older ones a
 * timer of `node:timers/promises` does not hear its signal.
 */
export const least = [
  leastOf("Node", "22.13.0", `node-22-${platform}/bin/node${exe}`, QUIET),
  leastOf("Node", "23.4.0", `node-23-${platform}/bin/node${exe}`, QUIET),
  { ...leastOf("Node", "24.0.0", `node-24-${platform}/bin/node${exe}`, QUIET), later: true },
  { ...leastOf("Node", "25.0.0", `node-25-${platform}/bin/node${exe}`, QUIET), later: true },
  leastOf("Deno", "2.6.2", `@deno/${deno}/deno${exe}`, ["run", "-A", "--quiet"]),
  leastOf("Bun", "1.4.0", `@oven/bun-${bun}/bin/bun${exe}`, []),
];

/** The binary of a runtime, or undefined where it cannot be had. A Node of the same major serves as well. */
export function binaryOf(name) {
  const { binary } = table[name];
  if (existsSync(binary)) return binary;
  const own = `node${process.versions.node.split(".")[0]}`;
  return own === name ? process.execPath : undefined;
}

/** The best Node at hand for tools: npm and vitest misbehave under old ones. */
export function toolNode() {
  return binaryOf("node24") ?? binaryOf("node26") ?? binaryOf("node22") ?? process.execPath;
}

function leastOf(runtime, version, path, before) {
  return { runtime, version, binary: inRepository(`tests/least/node_modules/${path}`), before, later: false };
}

function nodeBinary(major) {
  return inRepository(`${runtimes}/node-${major}-${platform}/bin/node${exe}`);
}
