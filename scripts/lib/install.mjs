/* @ts-self-types="./install.d.mts" */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { withLock } from "./lock.mjs";
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
