/** One run of a server's program, which never outlives the process that started it. */
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import type { ServerBinary } from "../../../../scripts/lib/servers.mjs";

/** A program that runs. */
export interface ServerProcess {
  readonly pid: number;
  /** Whether it has ended. */
  readonly over: boolean;
  /** Resolves with what it wrote to its standard error when it is gone. */
  readonly exited: Promise<string>;
  signal(name: NodeJS.Signals): void;
}

/** Waits for whatever happens to the process that started it: the end of its input means that it is gone. */
const WATCHDOG = `trap '' INT TERM HUP; while read -r line; do :; done; kill -9 "$1"`;

export function startProcess(
  binary: ServerBinary,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): ServerProcess {
  const child = spawn(binary.command, [...binary.args, ...args], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, ...env },
  });
  const pid = child.pid ?? 0;
  let errors = "";
  let over = false;
  child.stderr.setEncoding("utf8").on("data", (text: string) => errors += text);
  const signal = (name: NodeJS.Signals): void => {
    if (over || pid === 0) return;
    try {
      process.kill(pid, name);
    } catch (error) {
      // It may be gone before its end is reported here.
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  };
  const stop = (): void => signal("SIGKILL");
  process.once("exit", stop);
  const watchdog = pid === 0 ? undefined : watch(pid);
  const exited = new Promise<string>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", () => resolve(errors));
  }).finally(() => {
    over = true;
    process.off("exit", stop);
    watchdog?.kill("SIGKILL");
  });
  exited.catch(() => {});
  child.unref();
  return {
    pid,
    get over(): boolean {
      return over;
    },
    exited,
    signal,
  };
}

function watch(pid: number): ChildProcess {
  const watchdog = spawn("sh", ["-c", WATCHDOG, "sh", String(pid)], { stdio: ["pipe", "ignore", "ignore"] });
  watchdog.unref();
  // A pipe, whose type does not say that it can be left out of what keeps a process alive.
  if ("unref" in watchdog.stdin && typeof watchdog.stdin.unref === "function") watchdog.stdin.unref();
  watchdog.stdin.on("error", () => {});
  return watchdog;
}
