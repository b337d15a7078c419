import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { createFakeRuntime } from "../../src/testing/mod.ts";
import { sqlite } from "../../src/transports/sqlite/mod.ts";
import { listen, play, reasonOf, type Stage, TASK } from "../web/support/stage.ts";

/** Plays a case on a file that another connection can lock. */
async function locked(run: (stage: Stage, other: DatabaseSync) => Promise<void>): Promise<void> {
  const runtime = createFakeRuntime();
  const folder = await mkdtemp(join(tmpdir(), "relevo-locked-"));
  const path = join(folder, "jobs.db");
  const place = {
    runtime,
    connect: () => Promise.resolve(sqlite({ path, runtime, durability: "normal" as const })),
    destroy: () => rm(folder, { recursive: true, force: true }),
  };
  await play(() => Promise.resolve(place), async (stage) => {
    // The first call makes the file.
    await stage.line.queues({ deadline: 1_000 });
    const other = new DatabaseSync(path);
    try {
      await run(stage, other);
    } finally {
      other.close();
    }
  });
}

describe("promise 10 on SQLite: a file that another connection keeps locked", () => {
  test("a dispatch waits for the lock and is stored when it is released", () =>
    locked(async (stage, other) => {
      const relay = stage.relay(TASK);
      other.exec("BEGIN IMMEDIATE");
      let stored = false;
      const dispatched = relay.dispatch("task").then(() => stored = true);
      await stage.runtime.advance(5_000);
      expect(stored).toBe(false);
      other.exec("COMMIT");
      await stage.within(dispatched, 2_000);
      expect(await relay.info()).toMatchObject({ waiting: 1 });
    }));

  test("a dispatch rejects with TransportBusy at its deadline, and nothing was stored", () =>
    locked(async (stage, other) => {
      const relay = stage.relay(TASK, { callTimeout: 3_000 });
      other.exec("BEGIN IMMEDIATE");
      const refused = reasonOf(relay.dispatch("task"));
      await stage.runtime.advance(3_500);
      expect(await refused).toMatchObject({ name: "TransportBusy", code: "TRANSPORT_BUSY" });
      other.exec("ROLLBACK");
      await stage.runtime.advance(60_000);
      expect(await relay.info()).toMatchObject({ waiting: 0 });
    }));

  test("a worker waits for the lock, tells it once, and goes on within seconds of its release", () =>
    locked(async (stage, other) => {
      const relay = stage.relay(TASK, { callTimeout: 2_000 });
      const told = listen(relay);
      const handled: unknown[] = [];
      relay.handle("task", (payload) => void handled.push(payload));
      await relay.dispatch("task", "before", { delay: 1_000 });
      const running = stage.run(relay, { poll: 1_000 });
      await stage.runtime.settle();
      other.exec("BEGIN IMMEDIATE");
      await stage.runtime.advance(60_000);
      expect(handled).toEqual([]);
      expect(running.over).toBe(false);
      expect(told.of("connection")).toMatchObject([{ state: "down", error: { code: "TRANSPORT_BUSY" } }]);
      other.exec("COMMIT");
      await stage.runtime.advance(5_000);
      expect(handled).toEqual(["before"]);
      expect(told.of("connection").map(({ state }) => state)).toEqual(["down", "up"]);
    }));

  test("a handler that ends during the lock is settled after it, once", () =>
    locked(async (stage, other) => {
      const relay = stage.relay(TASK);
      const told = listen(relay);
      const [begun, barrier] = [stage.barrier(), stage.barrier()];
      relay.handle("task", () => {
        begun.open();
        return barrier.opened;
      });
      const completed = new Promise((resolve) => relay.events.addEventListener("completed", resolve));
      await relay.dispatch("task");
      stage.run(relay, { lease: 120_000 });
      await stage.within(begun.opened, 1_000);
      other.exec("BEGIN IMMEDIATE");
      barrier.open();
      await stage.runtime.advance(30_000);
      expect(told.names).not.toContain("completed");
      other.exec("COMMIT");
      await stage.within(completed, 5_000);
      await stage.runtime.advance(5_000);
      expect(told.of("completed")).toHaveLength(1);
      expect(await relay.info()).toMatchObject({ waiting: 0, reserved: 0 });
    }));
});
