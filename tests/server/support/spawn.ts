import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import process from "node:process";

/** How a child is started. */
export interface SpawnOptions {
  /** Variables added to the parent's own; `undefined` takes one away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The child's working directory; the parent's by default. */
  readonly cwd?: string;
}

/** How a child ended: its exit code, or the signal that ended it. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A script that runs as a process of its own. Disposing of it kills it and waits for its end. */
export interface Child extends AsyncDisposable {
  readonly pid: number;
  /** Lines of the standard output, each once, whether read as they come or after the end. */
  readonly lines: AsyncIterableIterator<string>;
  /** The next line of the standard output. Rejects, with the error output, when the child ended before. */
  next(): Promise<string>;
  /** The next line that `wanted` accepts; those before it are gone. */
  until(wanted: (line: string) => boolean): Promise<string>;
  /** Everything that the child has written to its standard error so far. */
  stderr(): string;
  /** Writes a line to the child's standard input. */
  write(line: string): void;
  /** Sends a signal, SIGTERM by default. */
  kill(signal?: NodeJS.Signals): void;
  /** Resolves when the child is gone and its output is read. */
  readonly exited: Promise<Exit>;
}

/** Runs a .ts file as a process of its own, under the runtime that runs the caller. */
export function spawnScript(
  path: string | URL,
  args: readonly string[] = [],
  options: SpawnOptions = {},
): Child {
  const file = typeof path === "string" && !path.startsWith("file:") ? path : fileURLToPath(path);
  const child = spawn(process.execPath, [...runtimeArgs(), file, ...args], {
    stdio: ["pipe", "pipe", "pipe"],
    env: environment(options.env ?? {}),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const kill = (signal: NodeJS.Signals) => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    try {
      // Deno's child.kill() reports the signal as the end even of a child that handled it.
      process.kill(child.pid, signal);
    } catch (error) {
      // It may be gone before its end is reported here.
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  };
  const stop = () => kill("SIGKILL");
  process.once("exit", stop);

  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => errors += text);
  // A child that is gone does not read its input.
  child.stdin.on("error", () => {});
  const exited = exitOf(child).finally(() => process.off("exit", stop));
  const lines = readLines(child);

  async function next(): Promise<string> {
    const { done, value } = await lines.next();
    if (done !== true) return value;
    const { code, signal } = await exited;
    throw new Error(`Cannot read a line as ${file} ended with ${signal ?? code}: ${errors}`);
  }

  return {
    pid: child.pid ?? 0,
    lines,
    next,
    async until(wanted) {
      for (;;) {
        const line = await next();
        if (wanted(line)) return line;
      }
    },
    stderr: () => errors,
    write: (line) => void child.stdin.write(`${line}\n`),
    kill: (signal = "SIGTERM") => kill(signal),
    exited,
    async [Symbol.asyncDispose]() {
      stop();
      await exited;
    },
  };
}

/** What stands before the script's path: Node 22.18 and later strips types by itself. */
function runtimeArgs(): readonly string[] {
  if ("deno" in process.versions) return ["run", "-A", "--no-lock"];
  if ("bun" in process.versions) return ["run"];
  return ["--disable-warning=ExperimentalWarning"];
}

/** The parent's variables without those by which a test runner steers its own children. */
function environment(extra: Readonly<Record<string, string | undefined>>): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...process.env, NO_COLOR: "1" };
  delete env.NODE_OPTIONS;
  delete env.NODE_CHANNEL_FD;
  for (const [name, value] of Object.entries(extra)) {
    if (value === undefined) delete env[name];
    else env[name] = value;
  }
  return env;
}

function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal }));
  });
}

/** Reads from the first moment, so that no line is lost before somebody asks and no full pipe stops the child. */
function readLines(
  child: ChildProcess & { readonly stdout: NodeJS.ReadableStream },
): AsyncIterableIterator<string> {
  const waiting: string[] = [];
  const readers: ((result: IteratorResult<string>) => void)[] = [];
  let ended = false;
  const reader = createInterface({ input: child.stdout, crlfDelay: Infinity });
  reader.on("line", (line) => {
    const next = readers.shift();
    if (next === undefined) waiting.push(line);
    else next({ done: false, value: line });
  });
  reader.on("close", () => {
    ended = true;
    for (const next of readers.splice(0)) next({ done: true, value: undefined });
  });
  return {
    next() {
      const value = waiting.shift();
      if (value !== undefined) return Promise.resolve({ done: false, value });
      if (ended) return Promise.resolve({ done: true, value: undefined });
      return new Promise((resolve) => readers.push(resolve));
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
