import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { systemRuntime } from "../../../src/runtime.ts";
import { inHand } from "./support/ledger.ts";
import { drained, IN_HAND, openScene, untilStruck } from "./support/scene.ts";

/** Milliseconds for which another process keeps the file. */
const LOCKED = 2_000;
/** Calls that a worker makes in all: those of its jobs, and some for each pause of a lock of two seconds. */
const CALLS = 250;

for (const [what, count] of [["more jobs wait", 24], ["nothing else waits", 12]] as const) {
  test(`a file that another locks while ${what} is down once, up once, and costs no job`, async () => {
    const { told, runs, left } = await untilStruck(async (times) => {
      const scene = openScene();
      await scene.relay.queues();
      const worker = scene.worker({ concurrency: 12, callTimeout: 300 * times, prefetch: 0 });
      await worker.told("ready");
      const task = { does: "wait", ms: 400 * times } as const;
      await scene.producer({ from: 0, count, bulk: count, width: 1, task }).rest();
      await worker.told("started", (told) => told.count === 12);
      const other = new DatabaseSync(join(scene.folder, "jobs.db"));
      other.exec("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE");
      const struck = inHand(scene.folder, worker.name) >= IN_HAND;
      const down = worker.told("connection");
      await systemRuntime().sleep(LOCKED * times);
      const first = await down;
      other.exec("ROLLBACK");
      other.close();
      await scene.counts(drained);
      const told = [first, ...await worker.stop()];
      const { runs, left } = await scene.judge();
      // A call that gets no turn for so long a time tells of a loss like any other.
      const states = told.filter(({ tell }) => tell === "connection").map(({ state }) => state);
      return struck && states.join() === "down,up" ? { told, runs, left } : undefined;
    });
    expect(told.filter(({ tell }) => tell === "error")).toEqual([]);
    expect(told.at(-1)?.count).toBeLessThan(CALLS);
    expect([runs.ends.size, runs.repeated]).toEqual([count, 0]);
    expect(left).toEqual({ waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0 });
  });
}
