/* @ts-self-types="./run.d.mts" */
import { spawn } from "node:child_process";
import { root } from "./paths.mjs";

/**
 * Runs a command to its end, its output kept, never longer than `timeout` milliseconds. What overruns is killed with
 * the children of its own process group and nothing else.
 */
export function run(command, args, { timeout, env = process.env, cwd = root } = {}) {
  return new Promise((resolve) => {
    const started = Date.now();
    const chunks = [];
    const child = spawn(command, args, {
      cwd,
      env,
      stdio: ["ignore", "pipe", "pipe"],
      detached: process.platform !== "win32",
    });
    live.add(child);
    const keep = (chunk) => chunks.push(chunk);
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);

    let timedOut = false;
    let settled = false;
    const timer = timeout === undefined ? undefined : setTimeout(() => {
      timedOut = true;
      killGroup(child);
    }, timeout);

    const finish = (code, signal) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      // A grandchild that the command left behind would keep the pipes open and the machine busy.
      killGroup(child);
      live.delete(child);
      child.stdout.destroy();
      child.stderr.destroy();
      const output = Buffer.concat(chunks).toString("utf8");
      resolve({ code, signal, timedOut, output, ms: Date.now() - started });
    };
    child.on("error", (error) => {
      chunks.push(Buffer.from(`${error.message}\n`));
      finish(127, null);
    });
    // "close" waits for the pipes, which a forgotten grandchild may hold for ever: it gets a second.
    child.on("exit", (code, signal) => setTimeout(() => finish(code, signal), 1_000).unref());
    child.on("close", finish);
  });
}

const live = new Set();

function killGroup(child) {
  if (child.pid === undefined) return;
  try {
    if (process.platform === "win32") child.kill("SIGKILL");
    else process.kill(-child.pid, "SIGKILL");
  } catch {
    // The group is gone already.
  }
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.once(signal, () => {
    for (const child of live) killGroup(child);
    process.exit(130);
  });
}
