/* @ts-self-types="./lock.d.mts" */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Two commands started at once must not both fill one folder: the second waits for the first. */
export function withLock(path, action) {
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
    // Its maker writes the id right after the folder; after five seconds without one, it never will.
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
