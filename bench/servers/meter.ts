/**
 * What a server says of itself: how much it was asked, by how many connections, and what it keeps.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import { redisClient } from "../lib/redis_client.ts";
import type { Address } from "./address.ts";

/** A look at a server. */
export interface Reading {
  /** Redis: commands so far, those in scripts included. NATS: messages in and out so far. */
  readonly requests: number;
  /** Those of others than this meter. */
  readonly connections: number;
  /** Bytes of memory. */
  readonly memory: number;
  /** Bytes of the stored messages; Redis: 0. */
  readonly disk: number;
}

/** Looks at a server. */
export interface Meter {
  read(): Promise<Reading>;
  /**
   * Microseconds of CPU that it has taken so far. Redis: of its main thread, by its own word; NATS: of its process, in steps
   * of 10,000, and `NaN` where the system is not Linux.
   */
  cpu(): Promise<number>;
  close(): Promise<void>;
}

/** A meter of the server at this address. */
export function meterOf(address: Address): Promise<Meter> {
  return address.kind === "redis" ? redisMeter(address) : Promise.resolve(natsMeter(address));
}

async function redisMeter(address: Address): Promise<Meter> {
  const client = await redisClient(address);
  let own = 0;
  const ask = async (...args: string[]): Promise<string> => {
    own++;
    const answer = await client.sendCommand(args);
    return typeof answer === "string" ? answer : String(answer);
  };
  return {
    async read() {
      const clients = await ask("CLIENT", "LIST");
      const memory = Number((await ask("INFO", "memory")).match(/used_memory:(\d+)/)?.[1]);
      const stats = await ask("INFO", "commandstats");
      let requests = 0;
      for (const [, calls] of stats.matchAll(/:calls=(\d+)/g)) requests += Number(calls);
      // The last of its own is counted once it has been answered.
      return {
        requests: requests - own + 1,
        connections: clients.trim().split("\n").length - 1,
        memory,
        disk: 0,
      };
    },
    async cpu() {
      const info = await ask("INFO", "cpu");
      const seconds = (what: string): number =>
        Number(info.match(new RegExp(`used_cpu_${what}_main_thread:([\\d.]+)`))?.[1]);
      return (seconds("user") + seconds("sys")) * 1e6;
    },
    close: () => Promise.resolve(client.destroy()),
  };
}

/** Microseconds of one tick, in which Linux counts the time of processes. */
const TICK = 10_000;

/** CPU of a process, as Linux counts it. */
async function cpuOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // Behind the name, which may hold anything, in brackets: user and system time are the 12th and 13th.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK;
}

function natsMeter({ host, monitor, pid }: Address): Meter {
  const ask = async (path: string): Promise<Record<string, number>> => {
    const response = await fetch(`http://${host}:${monitor}/${path}`);
    return await response.json();
  };
  return {
    async read() {
      const [varz, connz, jsz] = [await ask("varz"), await ask("connz"), await ask("jsz")];
      return {
        requests: Number(varz.in_msgs) + Number(varz.out_msgs),
        connections: Number(connz.num_connections),
        memory: Number(varz.mem),
        disk: Number(jsz.storage),
      };
    },
    cpu: () => cpuOf(pid),
    close: () => Promise.resolve(),
  };
}
