import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, onTestFinished, test } from "vitest";
import { createRelay } from "../../mod.ts";
import { sqlite } from "../../src/transports/sqlite/mod.ts";
import { free, heard } from "../web/support/kit.ts";
import { block, blocked } from "./support/blocked.ts";
import { type Child, spawnScript } from "./support/spawn.ts";

describe("a blocked thread, on SQLite", () => {
  blocked(() => sqlite({ path: file() }));

  test("jobs that another process took over and completed during a block are not started here", async () => {
    const path = file();
    const relay = createRelay({
      jobs: { task: { schema: free<number>(), queue: "q" } },
      transport: sqlite({ path }),
    });
    await using other = spawnScript(new URL("./fixtures/sqlite-work.ts", import.meta.url), [path]);
    await relay.dispatch("task", -1);
    await other.next();
    stopBetweenWrites(other, path);
    const begun: number[] = [];
    const stale = heard(relay.events, "stale");
    relay.handle("task", (n) => {
      begun.push(n);
      other.kill("SIGCONT");
      blockUntil(path, "SELECT 1 FROM relevo_entries WHERE state < 6 LIMIT 1");
    });
    await relay.dispatchMany([0, 1, 2, 3, 4].map((payload) => ({ name: "task" as const, payload })));
    const { completed } = await relay.drain({ lease: 200, concurrency: 5 });
    expect({ begun, completed }).toEqual({ begun: [0], completed: 0 });
    expect(stale.length).toBe(5);
    expect(await relay.info("q")).toMatchObject({ waiting: 0, reserved: 0 });
    await relay.close();
  }, 60_000);
});

/** A database of its own for a test. */
function file(): string {
  const path = join(tmpdir(), `relevo-blocked-${crypto.randomUUID()}.db`);
  onTestFinished(async () => {
    for (const end of ["", "-wal", "-shm"]) await rm(path + end, { force: true });
  });
  return path;
}

/** Stops a process where it does not hold the lock of its file, which it would keep for as long as it is stopped. */
function stopBetweenWrites(process: Child, path: string): void {
  const database = new DatabaseSync(path);
  database.exec("PRAGMA busy_timeout = 1000");
  try {
    for (let left = 20;; left--) {
      process.kill("SIGSTOP");
      try {
        database.exec("BEGIN IMMEDIATE; ROLLBACK");
        return;
      } catch (error) {
        process.kill("SIGCONT");
        if (left === 0) throw error;
      }
    }
  } finally {
    database.close();
  }
}

/** Holds the thread until a query finds nothing. */
function blockUntil(path: string, query: string): void {
  const database = new DatabaseSync(path);
  const statement = database.prepare(query);
  while (statement.get() !== undefined) block(20);
  database.close();
}
