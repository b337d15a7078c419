/** A broker that is away for two seconds: workers wait for it in peace, say so once, and go on by themselves. */
import { expect, test } from "vitest";
import { systemRuntime } from "../../../../src/runtime.ts";
import { ended, handsAt, now } from "../support/ledger.ts";
import { type Ground, sceneOn } from "../support/ground.ts";
import { drained, IN_HAND, NOTHING, untilStruck } from "../support/scene.ts";

const LEASE = 30_000;
const AWAY = 2_000;
const JOBS = 12;
/** Part of the time for which a worker that only waits may use the processor. */
const CPU = 0.25;
/** Connections that a worker may try to open in two seconds. */
const CONNECTS = 25;
/** Milliseconds after which jobs are handled again once the broker is back, a further process among them; less than a lease. */
const SOON = 25_000;

export function outageScenes(ground: Ground): void {
  for (const busy of [false, true]) {
    const hands = busy ? "whose jobs all run" : "that is idle";
    test(`W20, W32: ${ground.name}, away for two seconds, costs a worker ${hands} little and is told down once and up once`, async () => {
      const { back, hand, told, history, left, ms } = await untilStruck(async () => {
        const scene = sceneOn(ground, LEASE);
        const worker = scene.worker({ lease: LEASE, concurrency: 2 * JOBS, prefetch: 0 });
        await worker.told("ready");
        const jobs = { count: JOBS, bulk: JOBS, width: 1 };
        const task = { does: "wait", ms: busy ? AWAY / 2 : 0 } as const;
        await scene.producer({ from: 0, ...jobs, task }).rest();
        await worker.told("started", ({ count }) => count === JOBS);
        if (!busy) await scene.counts(drained);
        await worker.measure();
        worker.child.write("measure");
        const gone = now();
        await ground.server.stop();
        // The fault itself: so long the broker is away.
        await systemRuntime().sleep(AWAY);
        worker.child.write("measure");
        const ms = now() - gone;
        await ground.server.start();
        const back = now();
        await scene.producer({ from: JOBS, ...jobs, repeat: true }).rest();
        await ended(scene.folder, 2 * JOBS);
        await scene.counts(drained);
        const told = await worker.stop();
        const { history, left } = await scene.judge();
        const hand = handsAt(history, gone);
        return busy && hand < IN_HAND ? undefined : { back, hand, told, history, left, ms };
      });
      expect(left).toEqual(NOTHING);
      const starts = history.filter(({ op }) => op === "start");
      expect(starts).toHaveLength(2 * JOBS);
      expect(told.flatMap(({ tell, state }) => tell === "connection" ? [state] : [])).toEqual(["down", "up"]);
      expect(told.filter(({ tell }) => tell === "error")).toEqual([]);
      const [before, after] = told.filter(({ tell }) => tell === "measured");
      const cpu = ((after?.cpu ?? 0) - (before?.cpu ?? 0)) / ms;
      const connects = (after?.connects ?? 0) - (before?.connects ?? 0);
      const last = Math.max(...starts.map(({ at }) => at)) - back;
      const share = `${(100 * cpu).toFixed(1)} % of a processor`;
      console.log(
        `${ground.name} away with ${hand} jobs in hand: ${share}, ${connects} connects, new jobs run ` +
          `${Math.round(last)} ms after its return`,
      );
      expect(cpu).toBeLessThan(CPU);
      expect(connects).toBeGreaterThan(0);
      expect(connects).toBeLessThan(CONNECTS);
      expect(last).toBeLessThan(SOON);
    });
  }
}
