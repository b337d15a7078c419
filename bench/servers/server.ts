/**
 * Servers that the benchmark starts for itself: one for each measurement, on a free port of the loopback, with its data
 * in a folder of the benchmark. `BENCH_REDIS`, `BENCH_VALKEY` and `BENCH_NATS` name other binaries than those that the
 * tests run on.
 *
 * @module
 */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import process from "node:process";
import { setTimeout } from "node:timers/promises";
import type { Durability } from "../contenders/contender.ts";
import { serverOf } from "../../scripts/lib/servers.mjs";
import type { Address, Kind } from "./address.ts";

/** A server that runs. */
export interface Server {
  readonly address: Address;
  stop(): Promise<void>;
}

/** Milliseconds until a server must listen. */
const START = 10_000;
const HOST = "127.0.0.1";

/** Starts one; its data go into an empty folder. */
export async function start(kind: Kind, folder: string, durability: Durability): Promise<Server> {
  const port = await freePort();
  const monitor = await freePort();
  const settings = kind === "nats" ? natsArgs(port, monitor, folder) : redisArgs(port, folder, durability);
  const { command, args } = programOf(kind);
  const child = spawn(command, [...args, ...settings], { stdio: "ignore" });
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  await listening(child, kind, port);
  const { pid } = child;
  if (pid === undefined) throw new Error(`The ${kind} server has no process`);
  return {
    address: kind === "nats"
      ? { kind, host: HOST, port, pid, monitor }
      : { kind: "redis", host: HOST, port, pid },
    async stop() {
      process.off("exit", kill);
      if (child.exitCode !== null) throw new Error(`The ${kind} server had ended with ${child.exitCode}`);
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}

/** The version of a server, by its own word. */
export function versionOf(kind: Kind): string {
  const { command, args } = programOf(kind);
  const said = execFileSync(command, [...args, "--version"], { encoding: "utf8" });
  return said.match(/v=?(\d+\.\d+\.\d+)/)?.[1] ?? said.trim();
}

/** Whether a server of this kind can be started on this machine. */
export function isThere(kind: Kind): boolean {
  try {
    return versionOf(kind) !== "";
  } catch {
    return false;
  }
}

/** The names of the servers that the tests run on. */
const TESTED = { redis: "redis7", valkey: "valkey8", nats: "nats" } as const;

interface Program {
  readonly command: string;
  readonly args: readonly string[];
}

/** The binary that the environment names, else that of the tests, else that of the PATH. */
function programOf(kind: Kind): Program {
  const named = process.env[`BENCH_${kind.toUpperCase()}`];
  if (named !== undefined) return { command: named, args: [] };
  return serverOf(TESTED[kind]) ?? { command: `${kind}-server`, args: [] };
}

/** Append-only file: flushed every second, or before each answer. A rewrite in the midst of a round would disturb it. */
function redisArgs(port: number, folder: string, durability: Durability): string[] {
  const settings = {
    port: String(port),
    bind: HOST,
    dir: folder,
    save: "",
    appendonly: "yes",
    appendfsync: durability === "full" ? "always" : "everysec",
    "auto-aof-rewrite-percentage": "0",
  };
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
}

/** File storage; 2.9 flushes it every two minutes and has no other way. */
function natsArgs(port: number, monitor: number, folder: string): string[] {
  return ["-a", HOST, "-p", String(port), "-m", String(monitor), "-js", "-sd", folder];
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, HOST);
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("No port is free");
  return address.port;
}

async function listening(child: ChildProcess, kind: Kind, port: number): Promise<void> {
  let failed: Error | undefined;
  child.once("error", (error) => {
    failed = error;
  });
  const end = performance.now() + START;
  while (!await accepts(port)) {
    if (failed !== undefined) throw failed;
    if (child.exitCode !== null) throw new Error(`The ${kind} server ended with ${child.exitCode}`);
    if (performance.now() > end) throw new Error(`The ${kind} server does not listen`);
    await setTimeout(10);
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, HOST);
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
