/** The shipped transports that need a server-side runtime, as subjects of the conformance suite. */
import { mkdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type Runtime, systemRuntime } from "../../../src/runtime.ts";
import { createFakeRuntime, type Subject } from "../../../src/testing/mod.ts";
import type { Features } from "../../../src/contract/transport.ts";
import { sqlite } from "../../../src/transports/sqlite/mod.ts";

/** What the SQLite transport must declare: the table of transports in the design. */
export const SQLITE_FEATURES: Features = {
  durable: true,
  shared: true,
  exactFence: true,
  exactInfo: true,
  atomicPush: true,
  remote: false,
  clock: "machine",
  idLive: true,
  idWindow: true,
};

function fileSubject(runtime: Runtime): Subject {
  const folder = (store: string): string => join(tmpdir(), store);
  const path = (store: string): string => join(folder(store), "jobs.db");
  return {
    name: "SQLite",
    features: SQLITE_FEATURES,
    lacks: sqlite({ path: "jobs.db" }).lacks,
    topics: true,
    schedules: true,
    diagnose: true,
    async create(store) {
      await mkdir(folder(store), { recursive: true });
      const transport = sqlite({ path: path(store), runtime });
      await transport.queues({ deadline: 60_000 });
      return transport;
    },
    restart: () => Promise.resolve(),
    raw(store, queue, payload) {
      const database = new DatabaseSync(path(store));
      database.prepare("INSERT INTO relevo_jobs (queue, payload) VALUES (?, ?)").run(queue, payload);
      database.close();
      return Promise.resolve();
    },
    bare: true,
    async lose(store) {
      for (const end of ["", "-wal", "-shm"]) await rm(`${path(store)}${end}`, { force: true });
    },
    runtime: () => runtime,
    inject(store, { queue, id = null, name = null, meta = null, payload = null }) {
      const database = new DatabaseSync(path(store));
      database.prepare("INSERT INTO relevo_jobs (queue, id, name, meta, payload) VALUES (?, ?, ?, ?, ?)")
        .run(queue, id, name, meta, payload);
      database.close();
      return Promise.resolve();
    },
    transaction(store) {
      const handle = new DatabaseSync(path(store));
      handle.exec("BEGIN IMMEDIATE");
      const end = (how: string): Promise<void> => {
        handle.exec(how);
        handle.close();
        return Promise.resolve();
      };
      return Promise.resolve({ handle, commit: () => end("COMMIT"), rollback: () => end("ROLLBACK") });
    },
    destroy: (store) => rm(folder(store), { recursive: true, force: true }),
    now: () => runtime.now(),
  };
}

/** SQLite on a file of its own for each store, by the real clock. */
export function sqliteSubject(): Subject {
  return fileSubject(systemRuntime());
}

/** The same under a clock of its own. It begins at the real time, as raw entries are dated by SQLite. */
export function fakeSqliteSubject(): Subject {
  const runtime = createFakeRuntime({ now: Date.now() });
  return {
    ...fileSubject(runtime),
    elapse: (ms) => runtime.advance(ms),
    step: (ms) => runtime.step(ms),
    alive: () => runtime.sleepers,
  };
}

/** SQLite without a file, under a clock of its own. */
export function volatileSqliteSubject(): Subject {
  const runtime = createFakeRuntime();
  return {
    name: "SQLite in memory",
    features: { ...SQLITE_FEATURES, durable: false, shared: false },
    lacks: sqlite({ path: ":memory:" }).lacks,
    topics: true,
    schedules: true,
    diagnose: true,
    create: () => Promise.resolve(sqlite({ path: ":memory:", runtime })),
    elapse: (ms) => runtime.advance(ms),
    now: () => runtime.now(),
    step: (ms) => runtime.step(ms),
    alive: () => runtime.sleepers,
  };
}
