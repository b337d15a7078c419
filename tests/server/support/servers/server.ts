/** A server that a test starts, stops, kills and freezes: always the same ports, always the same data. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ServerBinary, type ServerName, serverOf } from "../../../../scripts/lib/servers.mjs";
import { type Claim, claimPorts } from "./ports.ts";
import { type ServerProcess, startProcess } from "./process.ts";

/** A server in the hand of a test. */
export interface Server extends AsyncDisposable {
  /** Its program and version. */
  readonly title: string;
  /** Where its clients connect to on 127.0.0.1. */
  readonly port: number;
  /** The one folder of its data, its configuration and its `server.log`; gone when it is disposed of. */
  readonly folders: readonly string[];
  /** The process id of the current run; 0 while it does not run. */
  pid(): number;
  /** Starts it again after `stop` or `kill`; resolves when it serves. */
  start(): Promise<void>;
  /** Lets it end in order (SIGTERM); resolves when it is gone. */
  stop(): Promise<void>;
  /** Ends it at once (SIGKILL); resolves when it is gone. */
  kill(): Promise<void>;
  /** `stop`, then `start`. */
  restart(): Promise<void>;
  /** Freezes it (SIGSTOP): connections stay open, and nobody answers. */
  pause(): void;
  /** Lets a frozen one go on. */
  resume(): void;
  /** Keeps its folder when it is disposed of. */
  keep(): void;
}

/** What makes a server of a program. */
export interface Recipe {
  readonly server: ServerName;
  /** How many ports it listens on; the first is that of the clients. */
  readonly ports: number;
  /** Writes its configuration into the folder; what stands behind the program's name. */
  configure(folder: string, ports: readonly number[], log: string): readonly string[];
  /** Where its folder is made. Default: where the system keeps what is temporary. */
  readonly root?: string | undefined;
  /** Variables of its environment beside those of the tests. */
  readonly env?: Readonly<Record<string, string>>;
  /** Whether this very process serves; rejects or says `false` while it does not. */
  ready(port: number, pid: number, folder: string): Promise<boolean>;
}

const TRIES = 10;
/** How long a server may take to serve, and to end, in milliseconds; a loaded machine is slow. */
const PATIENCE = 60_000;
const STEP = 10;

/** The program of a server, which must be there. */
export function binaryOf(name: ServerName): ServerBinary {
  const binary = serverOf(name);
  if (binary === undefined) {
    throw new Error(`Cannot start '${name}' as it is not here: run 'npm run servers'`);
  }
  return binary;
}

/** Starts a server in a folder and on ports of its own. */
export async function startServer(recipe: Recipe): Promise<Server> {
  const binary = binaryOf(recipe.server);
  for (let tries = 1;; tries++) {
    const folder = mkdtempSync(join(recipe.root ?? tmpdir(), `relevo-${recipe.server}-`));
    const server = createServer(binary, recipe, folder, await claimPorts(recipe.ports));
    try {
      await server.start();
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      // Between looking and listening somebody else took the port.
      if (tries < TRIES && error instanceof Error && /in use/i.test(error.message)) continue;
      throw error;
    }
  }
}

function createServer(
  binary: ServerBinary,
  recipe: Recipe,
  folder: string,
  claim: Claim,
): Server {
  const { ports } = claim;
  const [port = 0] = ports;
  const log = join(folder, "server.log");
  const args = recipe.configure(folder, ports, log);
  let current: ServerProcess | undefined;
  let kept = false;

  async function start(): Promise<void> {
    if (current !== undefined) return;
    const run = current = startProcess(binary, args, recipe.env);
    const end = performance.now() + PATIENCE;
    for (;;) {
      // Whoever answers on the port may be another server, so that the recipe asks who it is.
      const ready = recipe.ready(port, run.pid, folder).catch(() => false);
      // One that is no server of this kind may say nothing at all.
      if (await Promise.race([ready, run.exited.then(() => false)])) return;
      const failed = run.over || performance.now() > end;
      if (!failed) {
        await new Promise((resolve) => setTimeout(resolve, STEP));
        continue;
      }
      await ended("SIGKILL");
      throw new Error(`Cannot start ${binary.title}: ${await run.exited}${lastLines(log)}`);
    }
  }

  async function ended(signal: NodeJS.Signals): Promise<void> {
    const run = current;
    current = undefined;
    if (run === undefined) return;
    run.signal("SIGCONT");
    run.signal(signal);
    const timer = setTimeout(() => run.signal("SIGKILL"), PATIENCE);
    await run.exited.finally(() => clearTimeout(timer));
  }

  return {
    title: binary.title,
    port,
    folders: [folder],
    pid: () => current?.pid ?? 0,
    start,
    stop: () => ended("SIGTERM"),
    kill: () => ended("SIGKILL"),
    async restart() {
      await ended("SIGTERM");
      await start();
    },
    pause: () => current?.signal("SIGSTOP"),
    resume: () => current?.signal("SIGCONT"),
    keep: () => void (kept = true),
    async [Symbol.asyncDispose]() {
      await ended("SIGKILL");
      await claim[Symbol.asyncDispose]();
      if (!kept) rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    },
  };
}

function lastLines(log: string): string {
  try {
    return readFileSync(log, "utf8").split("\n").slice(-10).join("\n");
  } catch {
    return "it wrote no log";
  }
}

/** Freezes servers that belong together; what it answers lets them go on. */
export function pauseAll(servers: readonly Pick<Server, "pause" | "resume">[]): () => Promise<void> {
  for (const server of servers) server.pause();
  return () => {
    for (const server of servers) server.resume();
    return Promise.resolve();
  };
}

/** What servers that belong together do as one. */
export interface Together extends AsyncDisposable {
  /** Resolves when those that run serve. */
  healthy(): Promise<void>;
  /** Stops all, then starts all; resolves when they serve. */
  restart(): Promise<void>;
  /** The folder of each. */
  readonly folders: readonly string[];
  /** Keeps the folders when they are disposed of. */
  keep(): void;
}

export function together(servers: readonly Server[], healthy: () => Promise<void>): Together {
  return {
    healthy,
    async restart() {
      await Promise.all(servers.map((server) => server.stop()));
      await Promise.all(servers.map((server) => server.start()));
      await healthy();
    },
    folders: servers.flatMap(({ folders }) => folders),
    keep: () => servers.forEach((server) => server.keep()),
    async [Symbol.asyncDispose]() {
      await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
    },
  };
}
