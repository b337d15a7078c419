/**
 * SQLite's contract as a plain script, for runtimes that no test runner supports: the published suite on the packed
 * package, one line of JSON for each case. Expects `@relevo/relevo` to be installed where it lies. Arguments: which
 * part of the cases, from 0, and of how many.
 */
import { mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { sqlite } from "@relevo/relevo/sqlite";
import { conformance, createFakeRuntime } from "@relevo/relevo/testing";

// Begins at the real time, as raw entries are dated by SQLite.
const runtime = createFakeRuntime({ now: Date.now() });
const folder = (store) => join(tmpdir(), store);
const path = (store) => join(folder(store), "jobs.db");

const cases = conformance({
  name: "SQLite",
  features: {
    durable: true,
    shared: true,
    exactFence: true,
    exactInfo: true,
    atomicPush: true,
    clock: "machine",
    idLive: true,
    idWindow: true,
  },
  topics: true,
  schedules: true,
  async create(store) {
    mkdirSync(folder(store), { recursive: true });
    const transport = sqlite({ path: path(store), runtime });
    await transport.queues({ deadline: 10_000 });
    return transport;
  },
  restart: () => Promise.resolve(),
  raw(store, queue, payload) {
    const database = new DatabaseSync(path(store));
    database.prepare("INSERT INTO relevo_jobs (queue, payload) VALUES (?, ?)").run(queue, payload);
    database.close();
    return Promise.resolve();
  },
  transaction(store) {
    const handle = new DatabaseSync(path(store));
    handle.exec("BEGIN IMMEDIATE");
    const end = (how) => {
      handle.exec(how);
      handle.close();
      return Promise.resolve();
    };
    return Promise.resolve({ handle, commit: () => end("COMMIT"), rollback: () => end("ROLLBACK") });
  },
  destroy: (store) => Promise.resolve(rmSync(folder(store), { recursive: true, force: true })),
  elapse: (ms) => runtime.advance(ms),
  step: (ms) => runtime.step(ms),
  alive: () => runtime.sleepers,
  now: () => runtime.now(),
});

const [part = 0, parts = 1] = process.argv.slice(2).map(Number);
for (const [index, { group, name, run }] of cases.entries()) {
  if (index % parts !== part) continue;
  const error = await run().then(() => undefined, (thrown) => thrown?.stack ?? String(thrown));
  process.stdout.write(`${JSON.stringify({ name: `${group}: ${name}`, error })}\n`);
}
