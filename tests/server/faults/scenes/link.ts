/** Links that fail without a word: half-open ones, frozen servers, answers that are lost on the way. */
import { expect, onTestFinished, test } from "vitest";
import { createRelay, type Relay } from "../../../../mod.ts";
import { RelevoError } from "../../../../src/errors.ts";
import { createRecorder } from "../../../web/simulation/recorder.ts";
import { rejection } from "../../../web/support/kit.ts";
import { openStore } from "../fixtures/store.ts";
import { jobs, QUEUE } from "../fixtures/task.ts";
import { type Ground, sceneOn, through } from "../support/ground.ts";
import { handsAt, now, openLedger } from "../support/ledger.ts";
import { openProxy, type Proxy } from "../support/proxy.ts";
import { drained, IN_HAND, NOTHING, printRepeated, type Scene, untilStruck } from "../support/scene.ts";

const LEASE = 2_000;
/** A lease in which a settlement that is sent again is known to be its holder's own. */
const LONG = 20_000;
/** Milliseconds that a call may take, and how late its rejection may be on a busy machine. */
const DEADLINE = 500;
const LATE = 15_000;
/** Milliseconds in which a worker is at work again once the link is whole; an attempt to connect may be in vain first. */
const SOON = 40_000;
const JOBS = 12;

/** A scene with a proxy before the server, and a caller behind it. */
async function far(
  ground: Ground,
  lease: number,
): Promise<{ scene: Scene; proxy: Proxy; caller: Relay<typeof jobs> }> {
  const scene = sceneOn(ground, lease);
  const proxy = await openProxy(ground.server.port);
  const ledger = openLedger(scene.folder, "caller");
  const recorder = createRecorder({ process: "caller", now, write: ledger.write });
  const transport = recorder.transport(openStore(through(scene.store, proxy.port)));
  const caller = createRelay({ jobs, transport, callTimeout: DEADLINE });
  onTestFinished(async () => {
    await caller.close();
    await proxy.close();
    ledger.close();
  });
  await caller.queues();
  return { scene, proxy, caller };
}

/** Every call of a caller whose link is dead rejects in time, with an error that a program can tell. */
async function expectTimely(caller: Relay<typeof jobs>): Promise<void> {
  const calls: Record<string, () => Promise<unknown>> = {
    dispatch: () => caller.dispatch("task", { n: 1_000 }, { id: "job 1000" }),
    info: () => caller.info(QUEUE),
    list: () => caller.list(QUEUE, "waiting"),
    get: () => caller.get(QUEUE, "job 0"),
    queues: () => caller.queues(),
  };
  for (const [name, call] of Object.entries(calls)) {
    const begun = now();
    const error = await rejection(call());
    expect([name, error], name).toEqual([name, expect.any(RelevoError)]);
    expect(now() - begun, name).toBeLessThan(DEADLINE + LATE);
  }
}

/** Dispatches until it passes, which it must in time. */
async function insist(caller: Relay<typeof jobs>, until: number): Promise<void> {
  for (;;) {
    try {
      await caller.dispatch("task", { n: 2_000 }, { id: "job 2000" });
      return;
    } catch (error) {
      if (now() > until) throw error;
    }
  }
}

/** What a worker needs to be called well again: new jobs run. */
async function expectWork(scene: Scene, from: number): Promise<number> {
  const begun = now();
  await scene.producer({ from, count: JOBS, bulk: JOBS, width: 1 }).rest();
  await scene.counts(drained);
  return now() - begun;
}

export function linkScenes(ground: Ground): void {
  for (const what of ["a half-open link", "a frozen server"] as const) {
    test(`over ${what} to ${ground.name} calls reject within their deadline, and a worker goes on when it is well`, async () => {
      const { told, left, resumed } = await untilStruck(async (times) => {
        const { scene, proxy, caller } = await far(ground, LEASE);
        const store = through(scene.store, proxy.port);
        const worker = scene.worker({ store, lease: LEASE, callTimeout: DEADLINE * times });
        await worker.told("ready");
        await expectWork(scene, 0);
        if (what === "a frozen server") ground.server.pause();
        else proxy.silence();
        try {
          const down = worker.told("connection", ({ state }) => state === "down");
          await Promise.all([expectTimely(caller), down]);
        } finally {
          proxy.heal();
          ground.server.resume();
        }
        const well = now();
        await expectWork(scene, JOBS);
        const resumed = now() - well;
        // The caller needs no hand either.
        await insist(caller, well + SOON);
        await scene.counts(drained);
        const told = await worker.stop();
        const states = told.flatMap(({ tell, state }) => tell === "connection" ? [state] : []);
        // On a busy machine a call may overrun so short a deadline once more, which is a loss like any other.
        const { left } = await scene.judge();
        return states.join() === "up" ? { told, left, resumed } : undefined;
      });
      console.log(`${what} to ${ground.name}: jobs run ${Math.round(resumed)} ms after it is well`);
      expect(resumed).toBeLessThan(SOON);
      expect(told.filter(({ tell }) => tell === "error")).toEqual([]);
      expect(left).toEqual(NOTHING);
    });
  }

  test(`a link to ${ground.name} that breaks while a worker is idle is made anew`, async () => {
    const { scene, proxy } = await far(ground, LONG);
    const worker = scene.worker({ store: through(scene.store, proxy.port), lease: LONG });
    await worker.told("ready");
    for (let from = 0; from < 4 * JOBS; from += JOBS) {
      const took = await expectWork(scene, from);
      expect(took).toBeLessThan(SOON);
      proxy.cut();
    }
    await worker.stop();
    const { runs, left } = await scene.judge();
    expect(left).toEqual(NOTHING);
    expect([runs.starts.size, runs.repeated]).toEqual([4 * JOBS, 0]);
  });

  test(`settlements whose answers are lost on the way from ${ground.name} took effect, and no job runs twice`, async () => {
    const { runs, left, told } = await untilStruck(async (times) => {
      const { scene, proxy } = await far(ground, LONG);
      const store = through(scene.store, proxy.port);
      const worker = scene.worker({ store, lease: LONG, concurrency: JOBS, prefetch: 0 });
      await worker.told("ready");
      const task = { does: "wait", ms: 300 * times } as const;
      await scene.producer({ from: 0, count: JOBS, bulk: JOBS, width: 1, task }).rest();
      await worker.told("started", ({ count }) => count === JOBS);
      proxy.mute();
      const muted = now();
      // The server counts one as reserved until it has heard the second word of its end.
      const jobs = async (): Promise<number> => {
        const found = await Promise.all(
          Array.from({ length: JOBS }, (_, n) => scene.relay.get(QUEUE, `job ${n}`)),
        );
        return found.filter((job) => job !== undefined).length;
      };
      await expect.poll(jobs, { interval: 5 }).toBeLessThan(JOBS);
      proxy.cut();
      await expectWork(scene, JOBS);
      const told = await worker.stop();
      const judged = await scene.judge();
      const lost = judged.history.some(({ op, outcome }) => op === "settle" && outcome === "unknown");
      return lost && handsAt(judged.history, muted) >= IN_HAND ? { ...judged, told } : undefined;
    });
    expect(left).toEqual(NOTHING);
    expect([runs.starts.size, runs.repeated]).toEqual([2 * JOBS, 0]);
    expect(told.filter(({ tell }) => tell === "stale")).toEqual([]);
  });

  test(`a link to ${ground.name} that swallows answers and breaks in the middle of the work loses no job`, async () => {
    const { runs, left } = await untilStruck(async (times) => {
      const lease = LEASE * times;
      const { scene, proxy } = await far(ground, lease);
      const store = through(scene.store, proxy.port);
      const worker = scene.worker({ store, lease, concurrency: JOBS, prefetch: 0 });
      const task = { does: "wait", ms: 200 * times } as const;
      await scene.producer({ from: 0, count: 40 * JOBS, bulk: 100, width: 1, task }).rest();
      const muted: number[] = [];
      for (const part of [5, 15, 25]) {
        await worker.told("started", ({ count }) => (count ?? 0) >= part * JOBS);
        proxy.mute();
        muted.push(now());
        await proxy.swallowed();
        proxy.cut();
      }
      await scene.counts(drained);
      await worker.stop();
      const judged = await scene.judge();
      return muted.some((time) => handsAt(judged.history, time) < IN_HAND) ? undefined : judged;
    });
    expect(left).toEqual(NOTHING);
    expect(runs.ends.size).toBe(40 * JOBS);
    printRepeated(`answers of ${ground.name} lost three times`, runs);
  });
}
