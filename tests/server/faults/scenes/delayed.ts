/** Many delayed jobs: what they cost, how soon they run when due, and that a killed server keeps their times. */
import { execFileSync } from "node:child_process";
import process from "node:process";
import { expect, test } from "vitest";
import type { HistoryLine } from "../../../../src/testing/mod.ts";
import { type Ground, sceneOn } from "../support/ground.ts";
import { ended, now } from "../support/ledger.ts";
import { drained, NOTHING, printRepeated, type Scene, TRIES, untilStruck } from "../support/scene.ts";

/** `RELEVO_DELAYED` sets another number, for figures. */
const JOBS = Number(process.env.RELEVO_DELAYED ?? 3_000);
const PRODUCERS = 2;
const LEASE = 10_000;
/** Milliseconds that 1,000 jobs have to be stored before the first is due. */
const ROOM = 700;
const SPREAD = 400;
/** Milliseconds after which a job that is due on an idle broker runs, on a machine that is idle, too: half of them, and of 99 among 100. */
const PROMPT = 400;
const ACCURATE = 2_000;
/** Milliseconds after the last is due in which none is counted as delayed any more, and more of them for 1,000 jobs. */
const COUNTED = 30_000;
const COUNTED_MORE = 200;
/** Milliseconds between two counts, and by which clocks of two processes may differ. */
const LOOK = 200;
const SLACK = 5;

/** Megabytes that a process holds in memory. */
function memoryOf(pid: number): number {
  return Number(execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" })) / 1_024;
}

/** Milliseconds from each job's due time to its first start, the shortest first. */
function latenesses(history: readonly HistoryLine[]): readonly number[] {
  const due = new Map<string, number>();
  const first = new Map<string, number>();
  for (const line of history) {
    if (line.op === "dispatch") due.set(line.id, line.due ?? 0);
    if (line.op === "start" && !first.has(line.id)) first.set(line.id, line.at);
  }
  return [...first].map(([id, at]) => at - (due.get(id) ?? 0)).sort((a, b) => a - b);
}

function partOf(sorted: readonly number[], part: number): number {
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0);
}

/** Waits until none is delayed any more; how long after the last was due that was, and how long the last count took. */
async function promoted(
  scene: Scene,
  lastDue: number,
): Promise<{ readonly late: number; readonly took: number }> {
  await new Promise((resolve) => setTimeout(resolve, lastDue - now()));
  for (;;) {
    const begun = now();
    // A server that is starting refuses.
    const info = await scene.relay.info("work").catch(() => undefined);
    const ended = now();
    if (info?.delayed === 0) return { late: ended - lastDue, took: ended - begun };
    await new Promise((resolve) => setTimeout(resolve, LOOK));
  }
}

/** Stores them all before the first is due; with more time where that was too little. Says when the last is due. */
async function storeAll(ground: Ground): Promise<{ readonly scene: Scene; readonly lastDue: number }> {
  for (let tries = 1; tries <= TRIES; tries++) {
    const scene = sceneOn(ground, LEASE);
    await scene.relay.queues();
    const empty = memoryOf(ground.server.pid());
    const count = JOBS / PRODUCERS;
    const delay = 1_500 + 2 ** (tries - 1) * ROOM * JOBS / 1_000;
    const flow = { count, bulk: 250, width: 4, delay };
    const begun = now();
    await Promise.all(
      Array.from({ length: PRODUCERS }, (_, n) => scene.producer({ from: n * count, ...flow }).rest()),
    );
    const took = now() - begun;
    const lastDue = now() + delay;
    const { delayed } = await scene.relay.info("work");
    if (delayed === JOBS && took < delay - 500) {
      const grown = memoryOf(ground.server.pid()) - empty;
      console.log(
        `${JOBS} delayed jobs on ${ground.name}: stored at ${Math.round(1_000 * JOBS / took)} a second, ` +
          `${grown.toFixed(0)} MB of the server's memory`,
      );
      return { scene, lastDue };
    }
  }
  throw new Error("The jobs were due before they were stored");
}

export function delayedScenes(ground: Ground): void {
  for (const fate of ["that is left alone", "that is killed"] as const) {
    test(`${JOBS} delayed jobs on ${ground.name} ${fate} run when they are due, and none early`, async () => {
      const { scene, lastDue } = await storeAll(ground);
      const order = { lease: LEASE, concurrency: 50 };
      const workers = [scene.worker(order), scene.worker(order)];
      await Promise.all(workers.map((worker) => worker.told("ready")));
      if (fate === "that is killed") {
        await ground.server.kill();
        await ground.server.start();
      }
      const { late: counted, took: counting } = await promoted(scene, lastDue);
      // Counting jobs costs the broker something while there are many: the ledgers say when they are through.
      await ended(scene.folder, JOBS);
      await scene.counts(drained);
      await Promise.all(workers.map((worker) => worker.stop()));
      const { history, runs, left } = await scene.judge();
      const late = latenesses(history);
      const starts = history.flatMap((line) => line.op === "start" ? [line.at] : []);
      const took = Math.max(...starts.slice(-1)) - (starts[0] ?? 0);
      printRepeated(
        `${JOBS} due jobs on ${ground.name} ${fate}: ran at ${
          Math.round(1_000 * JOBS / took)
        } a second, after their ` +
          `due time half by ${partOf(late, 0.5)} ms, 99 % by ${partOf(late, 0.99)} ms, all by ${
            partOf(late, 1)
          } ms; ` +
          `counted as due ${Math.round(counted)} ms after the last was, in ${Math.round(counting)} ms`,
        runs,
      );
      expect(left).toEqual(NOTHING);
      expect(runs.ends.size).toBe(JOBS);
      expect(counted).toBeLessThan(COUNTED + COUNTED_MORE * JOBS / 1_000);
      expect(late[0]).toBeGreaterThanOrEqual(-SLACK);
    }, 60_000 + JOBS * 4);
  }

  test(`delayed jobs on ${ground.name} that are due one after the other run in time`, async () => {
    const { runs, left, late } = await untilStruck(async (times) => {
      const scene = sceneOn(ground, LEASE);
      const worker = scene.worker({ lease: LEASE });
      await worker.told("ready");
      await scene.producer({ from: 0, count: SPREAD, bulk: 1, width: 1, delay: 1_500, pause: 4 }).rest();
      await scene.counts(drained);
      await worker.stop();
      const { history, runs, left } = await scene.judge();
      const late = latenesses(history);
      const prompt = partOf(late, 0.5) < PROMPT * times && partOf(late, 0.99) < ACCURATE * times;
      return prompt ? { runs, left, late } : undefined;
    });
    const parts = [0.5, 0.99, 1].map((part) => `${100 * part} % by ${partOf(late, part)} ms`);
    console.log(`${SPREAD} jobs on ${ground.name} ran after their due time: ${parts.join(", ")}`);
    expect(left).toEqual(NOTHING);
    expect([runs.ends.size, runs.repeated]).toEqual([SPREAD, 0]);
  });
}
