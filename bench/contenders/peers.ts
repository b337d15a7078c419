/**
 * The peers without a server, each through its own documented calls and at the durability asked for. What is used of them is described
 * here, as their types are installed for the benchmark alone.
 *
 * @module
 */

import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { load } from "../lib/load.ts";
import { type Contender, type Payload, STOPPED } from "./contender.ts";

const noop = async (): Promise<void> => {};

interface Fastq {
  promise(worker: (payload: Payload) => Promise<void>, concurrency: number): {
    concurrency: number;
    push(payload: Payload): Promise<void>;
    pause(): void;
    resume(): void;
    drained(): Promise<void>;
  };
}

/** Paused, a queue keeps what is pushed; its promise is that of the run, so it is not awaited here. */
export const fastq: Contender = {
  async open() {
    const { default: { promise } } = await load<{ default: Fastq }>("fastq");
    const queue = promise(noop, 100);
    queue.pause();
    return {
      one: (payload) => void queue.push(payload),
      many: (payloads) => payloads.forEach((payload) => void queue.push(payload)),
      async work(_, concurrency) {
        queue.concurrency = concurrency;
        queue.resume();
        await queue.drained();
        queue.pause();
        return STOPPED;
      },
      close: () => Promise.resolve(),
    };
  },
};

interface PQueue {
  concurrency: number;
  add(task: () => Promise<void>): Promise<void>;
  start(): void;
  pause(): void;
  onIdle(): Promise<void>;
}

/** It keeps functions instead of payloads. */
export const pQueue: Contender = {
  async open() {
    const { default: Queue } = await load<
      { default: new (options: { concurrency: number; autoStart: boolean }) => PQueue }
    >("p-queue");
    const queue = new Queue({ concurrency: 100, autoStart: false });
    const handler = (_: Payload): Promise<void> => noop();
    const add = (payload: Payload): void => void queue.add(() => handler(payload));
    return {
      one: add,
      many: (payloads) => payloads.forEach(add),
      async work(_, concurrency) {
        queue.concurrency = concurrency;
        queue.start();
        await queue.onIdle();
        queue.pause();
        return STOPPED;
      },
      close: () => Promise.resolve(),
    };
  },
};

interface BetterSqlite {
  pragma(sql: string): unknown;
  prepare(sql: string): { get(): unknown };
}

interface Plainjob {
  better(database: BetterSqlite): unknown;
  defineQueue(options: { connection: unknown; logger: object }): {
    add(type: string, data: Payload): unknown;
    addMany(type: string, data: readonly Payload[]): unknown;
    countJobs(options: { status: number }): number;
    close(): void;
  };
  defineWorker(type: string, processor: () => Promise<void>, options: { queue: unknown; logger: object }): {
    start(): Promise<void>;
    stop(): Promise<void>;
  };
}

const silent = { debug() {}, info() {}, warn() {}, error: console.error };

/** One job at a time, as its worker does; durability is set anew, as `defineQueue` sets it to NORMAL. */
export const plainjob: Contender = {
  async open({ folder, durability }) {
    const { default: Database } = await load<{ default: new (path: string) => BetterSqlite }>(
      "better-sqlite3",
    );
    const { better, defineQueue, defineWorker } = await load<Plainjob>("plainjob");
    const database = new Database(join(folder, "plainjob.db"));
    const queue = defineQueue({ connection: better(database), logger: silent });
    database.pragma(`synchronous = ${durability}`);
    return {
      one: (payload) => queue.add("welcome", payload),
      many: (payloads) => queue.addMany("welcome", payloads),
      async work(total) {
        let handled = 0;
        const before = queue.countJobs({ status: 0 });
        await new Promise<void>((resolve, reject) => {
          const worker = defineWorker("welcome", async () => {
            // Its worker never leaves the microtasks while there are jobs, so it is stopped from inside.
            if (++handled === total) await worker.stop();
          }, { queue, logger: silent });
          worker.start().then(resolve, reject);
        });
        while (queue.countJobs({ status: 0 }) > before - total) await setImmediate();
        return STOPPED;
      },
      close: () => Promise.resolve(queue.close()),
    };
  },
};
