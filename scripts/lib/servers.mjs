/* @ts-self-types="./servers.d.mts" */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { loaderOf, unpack } from "./debian.mjs";
import { withLock } from "./lock.mjs";
import { inRepository } from "./paths.mjs";

const cache = inRepository("tests/runtimes/.servers");
/** What the servers of Redis and Valkey are linked with, by the same names in each suite. */
const LIBRARIES = [
  ...["libc6", "libstdc++6", "libgcc-s1", "libatomic1", "libjemalloc2", "liblzf1", "libsystemd0", "libcap2"],
  ...["libgcrypt20", "libgpg-error0", "libzstd1", "liblzma5", "liblz4-1"],
];

/**
 * The servers that tests run on: the oldest that we promise to work with, and the newest that can be had; of NATS one
 * that is both. `wanted` is the version that the machine's own may have; any other comes from Debian.
 */
const table = {
  redis7: {
    wanted: /v=7\.0\./,
    program: "redis-server",
    suites: ["bookworm"],
    packages: from("bookworm", "redis-tools", "libssl3", ...LIBRARIES),
    binary: "usr/bin/redis-check-rdb",
  },
  redis8: {
    wanted: /v=8\./,
    program: "redis-server",
    suites: ["trixie"],
    packages: from("trixie", "redis-tools", "libssl3t64", "zlib1g", ...LIBRARIES),
    binary: "usr/bin/redis-check-rdb",
  },
  valkey8: {
    wanted: /v=8\./,
    program: "valkey-server",
    suites: ["bookworm", "bookworm-backports"],
    packages: [...from("bookworm-backports", "valkey-tools"), ...from("bookworm", "libssl3", ...LIBRARIES)],
    binary: "usr/bin/valkey-check-rdb",
  },
  nats: {
    wanted: /v2\.(1[2-9]|[2-9]\d)\./,
    program: "nats-server",
    suites: ["sid"],
    packages: from("sid", "nats-server", "libc6"),
    binary: "usr/sbin/nats-server",
  },
  // No server: what reads a scrape as Prometheus would.
  promtool: {
    wanted: /version/,
    program: "promtool",
    suites: ["bookworm"],
    packages: from("bookworm", "prometheus", "libc6"),
    binary: "usr/bin/promtool",
  },
};

/**
 * What lets a test move the wall clock of a Redis server: a library that is preloaded into it, made of `clock.c` by a
 * compiler of 700 KB.
 */
const CLOCK = "clock";

/** The names of all servers, and of what is preloaded into them. */
export const serverNames = [...Object.keys(table), CLOCK];

/** How a server is started, or undefined where `prepareServers` could not get it. */
export function serverOf(name) {
  try {
    const found = JSON.parse(readFileSync(join(cache, `${name}.json`), "utf8"));
    return existsSync(found.command) && found.args.every((arg) => !arg.endsWith("-server") || existsSync(arg))
      ? found
      : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Finds every server on this machine, or unpacks it from Debian into `tests/runtimes/.servers`, once. Returns those
 * that cannot be had, each with the reason.
 */
export function prepareServers(say = console.log) {
  if (serverNames.every((name) => serverOf(name) !== undefined)) return [];
  mkdirSync(cache, { recursive: true });
  return withLock(cache, () => {
    const missing = [];
    for (const name of serverNames.filter((each) => serverOf(each) === undefined)) {
      try {
        keep(name, name === CLOCK ? compile(say) : own(name) ?? download(name, say));
      } catch (error) {
        missing.push({ name, why: error.message });
      }
    }
    return missing;
  });
}

/** The machine's own server, if its version is the wanted one. */
function own(name) {
  const { program, wanted } = table[name];
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/bin", "/usr/sbin", "/usr/local/bin"];
  for (const folder of folders.filter((each) => each !== "")) {
    const command = join(folder, program);
    if (!existsSync(command)) continue;
    const version = versionOf(command, []);
    if (wanted.test(version)) return { command, args: [], title: titleOf(program, version) };
  }
  return undefined;
}

function download(name, say) {
  const { program, suites, packages, binary } = table[name];
  say(`Installing ${program} of Debian ${suites.at(-1)} into tests/runtimes/.servers`);
  const folder = join(cache, name);
  const partial = `${folder}.partial`;
  unpack(partial, suites, packages);
  rmSync(folder, { recursive: true, force: true });
  // The servers of Redis and Valkey go by the name that they are called by.
  const file = join(partial, binary);
  const renamed = join(file, "..", program);
  if (file !== renamed) renameSync(file, renamed);
  renameSync(partial, folder);
  const { command, args } = loaderOf(folder);
  const start = [...args, join(folder, binary, "..", program)];
  return { command, args: start, title: titleOf(program, versionOf(command, start)) };
}

function compile(say) {
  say("Installing tcc of Debian bookworm into tests/runtimes/.servers, for the clock of Redis servers");
  const folder = join(cache, "tcc");
  unpack(folder, ["bookworm"], from("bookworm", "tcc", "libc6"));
  const { command, args, libraries } = loaderOf(folder);
  const library = join(cache, "clock.so");
  const home = libraries.map((path) => join(path, "tcc")).find(existsSync);
  const source = inRepository("scripts/lib/clock.c");
  const flags = [`-B${home}`, "-nostdlib", "-shared", "-o", library, source];
  const { status, stderr } = spawnSync(command, [...args, join(folder, "usr/bin/tcc"), ...flags], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`Cannot compile ${source}: ${stderr}`);
  return { command: library, args: [], title: "a clock for Redis servers" };
}

/** Whole or not at all: another process may be reading. */
function keep(name, found) {
  const file = join(cache, `${name}.json`);
  writeFileSync(`${file}.partial`, `${JSON.stringify(found)}\n`);
  renameSync(`${file}.partial`, file);
}

function versionOf(command, args) {
  const { status, stdout, stderr } = spawnSync(command, [...args, "--version"], { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} does not run here: ${stderr?.trim()}`);
  return stdout.trim();
}

function titleOf(program, version) {
  return `${program} ${/v(?:=|ersion )?(\d+\.\d+\.\d+)/.exec(version)?.[1] ?? version}`;
}

function from(suite, ...packages) {
  return packages.map((name) => `${name}/${suite}`);
}
