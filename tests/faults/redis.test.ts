import { expect, test } from "vitest";
import { QUEUE } from "../server/faults/fixtures/task.ts";
import { crashScenes } from "../server/faults/scenes/crashed.ts";
import { killScenes } from "../server/faults/scenes/killed.ts";
import { leaseScenes } from "../server/faults/scenes/leases.ts";
import { poisonScenes } from "../server/faults/scenes/poison.ts";
import { tickScenes } from "../server/faults/scenes/ticks.ts";
import { sceneOn } from "../server/faults/support/ground.ts";
import { handsAt, now } from "../server/faults/support/ledger.ts";
import { drained, NOTHING, untilStruck } from "../server/faults/support/scene.ts";
import { redisGround } from "./support/grounds.ts";

const LEASE = 1_000;
const JOBS = 12;
/** Milliseconds in which a worker finds by itself that everything in the store is gone, a further process among them. */
const SOON = 30_000;
/** A lease that a machine which stands still for seconds does not let run out. */
const LONG = 30_000;

const ground = await redisGround();
const open = (lease: number) => sceneOn(ground, lease);

crashScenes(open);
killScenes(open);
leaseScenes(open);
poisonScenes(open);
tickScenes({ store: () => ground.store(LEASE, ground.server.port), skewed: true });

for (const what of ["FLUSHALL", "SCRIPT FLUSH"]) {
  test(`after a ${what} a worker handles what is dispatched next`, async () => {
    const scene = open(LONG);
    const worker = scene.worker({ lease: LONG });
    await worker.told("ready");
    const times: number[] = [];
    for (let round = 0; round < 3; round++) {
      const begun = now();
      await scene.producer({ from: round * JOBS, count: JOBS, bulk: JOBS, width: 1 }).rest();
      await scene.counts(drained);
      times.push(now() - begun);
      await ground.server.send(...what.split(" "));
    }
    const told = await worker.stop();
    const { runs, left } = await scene.judge();
    expect(left).toEqual(NOTHING);
    expect([runs.ends.size, runs.repeated]).toEqual([3 * JOBS, 0]);
    expect(Math.max(...times)).toBeLessThan(SOON);
    expect(told.filter(({ tell }) => tell === "error")).toEqual([]);
  });
}

test("a FLUSHALL while jobs run takes them away, is told as stale, and costs nothing that is dispatched later", async () => {
  const { told, runs } = await untilStruck(async (times) => {
    const lease = LEASE * times;
    const scene = open(lease);
    const worker = scene.worker({ lease, concurrency: JOBS });
    const jobs = { count: JOBS, bulk: JOBS, width: 1 };
    await scene.producer({ from: 0, ...jobs, task: { does: "wait", ms: 2 * lease } }).rest();
    await worker.told("started", ({ count }) => count === JOBS);
    await ground.server.send("FLUSHALL");
    const flushed = now();
    await scene.producer({ from: JOBS, ...jobs }).rest();
    await scene.counts(drained);
    const told = await worker.stop();
    const { history, runs } = await scene.judge();
    return handsAt(history, flushed) < JOBS ? undefined : { told, runs };
  });
  expect(runs.ends.size).toBe(2 * JOBS);
  expect(new Set(told.flatMap(({ tell, id }) => tell === "stale" ? [id] : [])).size).toBe(JOBS);
  expect(told.filter(({ tell }) => tell === "error")).toEqual([]);
});

test("ten workers that were stopped or killed leave no consumers behind", async () => {
  const scene = open(LEASE);
  const { store } = scene;
  if (store.kind !== "redis") throw new Error("Wants a scene on Redis");
  const stream = `{${store.prefix}:${QUEUE}}:waiting`;
  const consumers = async (): Promise<number> => {
    const found = await ground.server.send("XINFO", "CONSUMERS", stream, "relevo");
    return Array.isArray(found) ? found.length : NaN;
  };
  let most = 0;
  for (let round = 0; round < 10; round++) {
    const stopped = round % 2 === 0;
    const worker = scene.worker({ lease: LEASE, concurrency: 10 * JOBS });
    const task = { does: "wait", ms: stopped ? 0 : LEASE } as const;
    const jobs = Array.from({ length: JOBS }, (_, n) => ({ name: "task" as const, payload: { n, ...task } }));
    await scene.relay.dispatchMany(jobs);
    await worker.told("started", ({ count }) => count === JOBS);
    most = Math.max(most, await consumers());
    if (stopped) await worker.stop();
    else await worker.kill();
  }
  const last = scene.worker({ lease: LEASE, concurrency: 10 * JOBS });
  await scene.counts(drained);
  // The one that lives, and one more at most.
  await expect.poll(consumers, { interval: 50, timeout: 10_000 }).toBeLessThanOrEqual(2);
  expect(most).toBeGreaterThan(2);
  await last.stop();
  expect((await scene.judge()).left).toEqual(NOTHING);
});
