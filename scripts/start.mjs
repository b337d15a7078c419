/**
 * `npm start [-- folder]`: runs `examples/main.ts` with the rest of the arguments, on any machine with Node 18 or
 * later. Installs what is missing, once.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants, cpus } from "node:os";
import { pathToFileURL } from "node:url";
import { install } from "./lib/install.mjs";
import { inRepository } from "./lib/paths.mjs";

const node = sqliteNode();
if (!install("", "the development dependencies", { node })) process.exit(1);

const child = spawn(
  node,
  [
    "--disable-warning=ExperimentalWarning",
    "--import",
    pathToFileURL(inRepository("node_modules/tsx/dist/loader.mjs")).href,
    inRepository("examples/main.ts"),
    ...process.argv.slice(2),
  ],
  {
    stdio: "inherit",
    // npm goes to the repository's folder first; what the user typed is meant from where they are.
    cwd: process.env.npm_lifecycle_event === "start" ? process.env.INIT_CWD : undefined,
    // Node reads and compresses on four threads otherwise, however many cores there are.
    env: { UV_THREADPOOL_SIZE: String(Math.max(4, cpus().length)), ...process.env },
  },
);
// A terminal's Ctrl+C reaches the child too: passed on again, it would look like an impatient second one.
const fromTerminal = process.stdin.isTTY ? ["SIGINT", "SIGHUP"] : [];
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => fromTerminal.includes(signal) || child.kill(signal));
}
if (process.env.npm_lifecycle_event === "start") {
  // npm passes SIGTERM to its shell only, which dies without passing it on.
  const parent = process.ppid;
  setInterval(() => process.ppid === parent || child.kill("SIGTERM"), 500);
}
child.on("error", (error) => {
  console.error(`Cannot start ${node}: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => process.exit(signal === null ? code : 128 + constants.signals[signal]));

/** This Node where it has node:sqlite, else one from npm, kept in scripts/node. */
function sqliteNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > 22 || (major === 22 && minor >= 13)) return process.execPath;
  const platform = `${process.platform === "win32" ? "win" : process.platform}-${process.arch}`;
  const binary = inRepository(
    `scripts/node/node_modules/node-${platform}/bin/node${process.platform === "win32" ? ".exe" : ""}`,
  );
  install(
    "scripts/node",
    `Node 24, as node:sqlite needs Node 22.13 or later and this is ${process.version},`,
  );
  if (existsSync(binary)) return binary;
  console.error(
    `Cannot start on Node ${process.versions.node}: needs Node 22.13 or later, and npm has none for ${platform}`,
  );
  process.exit(1);
}
