/** Leases: of handlers that take long, of workers that are stopped, late or busy. */
import { expect, test } from "vitest";
import type { Told } from "../fixtures/task.ts";
import { disturbed, inHand } from "../support/ledger.ts";
import {
  drained,
  IN_HAND,
  NOTHING,
  type OpenScene,
  printRepeated,
  untilStruck,
  within,
} from "../support/scene.ts";

const LEASE = 600;
const JOBS = 12;
/** Milliseconds in which jobs that wait for nothing have ended on a machine that is not slow. */
const PATIENCE = 10_000;
/** Milliseconds for all plays of a test. */
const WHOLE = 400_000;

function all(told: Told): boolean {
  return told.count === JOBS;
}

function of(told: readonly Told[], kind: Told["tell"]): readonly Told[] {
  return told.filter(({ tell }) => tell === kind);
}

export function leaseScenes(open: OpenScene): void {
  test("a handler that takes three leases runs once", async () => {
    const { runs } = await untilStruck(async (times) => {
      const lease = LEASE * times;
      const scene = open(lease);
      const workers = [
        scene.worker({ lease, workers: 2 }),
        scene.worker({ lease, workers: 2 }),
      ];
      await Promise.all(workers.map((worker) => worker.told("ready")));
      await scene.producer({ from: 0, count: JOBS, bulk: 1, width: 1, task: { does: "wait", ms: 3 * lease } })
        .rest();
      await scene.counts(drained);
      await Promise.all(workers.map((worker) => worker.stop()));
      const judged = await scene.judge();
      return disturbed(judged.history, lease) ? undefined : judged;
    });
    expect([runs.starts.size, runs.repeated]).toEqual([JOBS, 0]);
  }, WHOLE);

  test("a worker that is stopped for three leases finds its jobs run elsewhere, and is told so", async () => {
    const { runs, left } = await untilStruck(async (times) => {
      const lease = LEASE * times;
      const scene = open(lease);
      const order = { lease, concurrency: JOBS, prefetch: 0 };
      const stopped = scene.worker(order);
      await scene.producer({
        from: 0,
        count: JOBS,
        bulk: JOBS,
        width: 1,
        task: { does: "wait", ms: 2 * lease },
      }).rest();
      await stopped.told("started", all);
      stopped.child.kill("SIGSTOP");
      if (inHand(scene.folder, stopped.name) < JOBS) return undefined;
      const heir = scene.worker(order);
      // A process that was stopped in the middle of a write keeps SQLite's lock for as long.
      if (await within(PATIENCE * times, heir.told("started")) === undefined) return undefined;
      await scene.counts(drained);
      stopped.child.kill("SIGCONT");
      // Its handlers' timers are overdue too: whatever it tells, it is about jobs that are no longer its own.
      for (let stale = 0; stale < JOBS; stale++) {
        if (await within(PATIENCE * times, stopped.told("stale")) === undefined) return undefined;
      }
      const rest = [...await stopped.stop(), ...await heir.stop()];
      const judged = await scene.judge();
      if (disturbed(judged.history, lease, [stopped.name])) return undefined;
      expect(of(rest, "stale")).toEqual([]);
      return judged;
    });
    expect(left).toEqual(NOTHING);
    expect([runs.starts.size, runs.repeated]).toEqual([JOBS, JOBS]);
  }, WHOLE);

  test(
    "settlements that come after the lease are stale, one event each, and the jobs are settled once",
    async () => {
      const { history, runs, left } = await untilStruck(async (times) => {
        const lease = LEASE * times;
        const scene = open(lease);
        const order = { lease, concurrency: JOBS, prefetch: 0 };
        const late = scene.worker({ ...order, atSettle: "hold" });
        // As many as gather, so that all of them end in one moment.
        await scene.producer({ from: 0, count: IN_HAND, bulk: IN_HAND, width: 1, task: { does: "gather" } })
          .rest();
        const settling = late.told("settling", ({ count }) => (count ?? 0) >= IN_HAND);
        if (await within(PATIENCE * times, settling) === undefined) return undefined;
        const heir = scene.worker(order);
        await scene.counts(drained);
        late.child.write("go");
        const ids = new Set<string | undefined>();
        while (ids.size < IN_HAND) {
          const stale = late.told("stale", ({ during }) => during === "settle");
          const told = await within(PATIENCE * times, stale);
          if (told === undefined) return undefined;
          ids.add(told.id);
        }
        const rest = of(await late.stop(), "stale");
        const lost = of(await heir.stop(), "stale");
        const judged = await scene.judge();
        // Where the machine kept one of them from extending or settling in time, more ran than were meant to.
        const started = judged.history.filter(({ op }) => op === "start").length;
        if (lost.length > 0 || started > 2 * IN_HAND) return undefined;
        expect(rest).toEqual([]);
        return judged;
      });
      expect(left).toEqual(NOTHING);
      // What comes so late that its lease is nearly over goes back.
      const answers = history.flatMap((line) =>
        line.op === "settle" && line.to !== "release" ? [line.state] : []
      ).sort();
      expect(answers).toEqual([...Array(IN_HAND).fill("settled"), ...Array(IN_HAND).fill("stale")]);
      expect(runs.repeated).toBe(IN_HAND);
    },
    WHOLE,
  );

  test("a handler that keeps its thread busy is reported, and nothing is lost", async () => {
    const { told, judged } = await untilStruck(async (times) => {
      const lease = LEASE * times;
      const scene = open(lease);
      const order = { lease, concurrency: JOBS, prefetch: 0 };
      const busy = scene.worker(order);
      await busy.told("ready");
      const waiting = Array.from({ length: JOBS - 1 }, (_, n) => ({
        name: "task" as const,
        payload: { n, does: "wait" as const, ms: 2 * lease },
      }));
      await scene.relay.dispatchMany(waiting);
      await busy.told("started", ({ count }) => count === JOBS - 1);
      await scene.relay.dispatch("task", { n: JOBS, does: "spin", ms: 3 * lease });
      await busy.told("started", all);
      if (inHand(scene.folder, busy.name) < IN_HAND) return undefined;
      const heir = scene.worker({ ...order, fast: true });
      const late = await busy.told("error");
      await scene.counts(drained);
      const told = [late, ...await busy.stop(), ...await heir.stop()];
      return { told, judged: await scene.judge() };
    });
    expect(of(told, "error").map(({ code }) => code)).toContain("HEARTBEAT_LATE");
    expect(judged.left).toEqual(NOTHING);
    expect(judged.runs.ends.size).toBe(JOBS);
    printRepeated("a busy thread", judged.runs);
  }, WHOLE);
}
