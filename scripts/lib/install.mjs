/* @ts-self-types="./install.d.mts" */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inRepository } from "./paths.mjs";

/**
 * Installs exactly what the folder's lockfile names, unless it is there already. `node` is the Node that runs npm:
 * npm leaves out optional packages that do not fit the Node that runs it.
 */
export function install(folder, what, { node = process.execPath, quiet = false } = {}) {
  const path = inRepository(folder);
  if (installed(path)) return true;
  return withLock(path, () => {
    if (installed(path)) return true;
    if (!quiet) console.log(`Installing ${what} from the npm registry`);
    const flags = [
      "ci",
      "--ignore-scripts",
      "--include=dev",
      "--include=optional",
      "--no-audit",
      "--no-fund",
    ];
    flags.push("--loglevel=error");
    const [command, args] = npm(node, flags);
    const { status, stdout, stderr, error } = spawnSync(command, args, {
      cwd: path,
      env: { ...process.env, NODE_ENV: "development" },
      stdio: ["ignore", "pipe", "pipe"],
      encoding: "utf8",
      shell: command === "npm.cmd",
    });
    if (status === 0) return true;
    console.error(
      `Cannot install ${what}: ${error?.message ?? `npm ended with ${status}`}\n${stdout}${stderr}`,
    );
    return false;
  });
}

/** Whether the installed packages are those of the lockfile; an optional one may be missing. */
function installed(path) {
  try {
    const wanted = JSON.parse(readFileSync(join(path, "package-lock.json"), "utf8")).packages;
    const found = JSON.parse(readFileSync(join(path, "node_modules", ".package-lock.json"), "utf8")).packages;
    return Object.entries(wanted).every(([name, entry]) =>
      name === "" || (found[name]?.version ?? (entry.optional ? entry.version : undefined)) === entry.version
    );
  } catch {
    return false;
  }
}

/** npm as the user called it, run by `node` itself: `npm` on the PATH may be another one. */
export function npm(node, args) {
  const script = process.env.npm_execpath;
  if (script !== undefined && /npm-cli\.[cm]?js$/.test(script) && existsSync(script)) {
    return [node, [script, ...args]];
  }
  return [process.platform === "win32" ? "npm.cmd" : "npm", args];
}

/** Two commands started at once must not both rewrite one node_modules: the second waits for the first. */
function withLock(path, action) {
  const lock = join(path, ".installing");
  const owner = join(lock, "pid");
  for (;;) {
    try {
      mkdirSync(lock);
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
      if (abandoned(owner)) rmSync(lock, { recursive: true, force: true });
      else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    }
  }
  try {
    writeFileSync(owner, String(process.pid));
    return action();
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

const unowned = new Map();

function abandoned(owner) {
  let pid;
  try {
    pid = Number(readFileSync(owner, "utf8"));
  } catch {
    // Its maker writes the id right after the folder; after five seconds without one, nobody will.
    const since = unowned.get(owner) ?? Date.now();
    unowned.set(owner, since);
    return Date.now() - since > 5_000;
  }
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === "ESRCH";
  }
}
