/** Clocks of workers that are set while they work: the broker's clock alone judges due times and leases. */
import { expect, test } from "vitest";
import { type Ground, sceneOn } from "../support/ground.ts";
import { disturbed, handsAt, now } from "../support/ledger.ts";
import { drained, IN_HAND, NOTHING, untilStruck } from "../support/scene.ts";

const HOUR = 3_600_000;
const LEASE = 1_000;
const EACH = 12;
const DELAY = 3_000;

export function movedClockScenes(ground: Ground): void {
  for (const [what, ms] of [["back", -HOUR], ["forward", HOUR]] as const) {
    test(`a worker's clock set ${what} by an hour on ${ground.name} makes no job early, late, lost or run twice`, async () => {
      const { runs, left, told, took } = await untilStruck(async (times) => {
        const lease = LEASE * times;
        const scene = sceneOn(ground, lease);
        const worker = scene.worker({ lease, concurrency: EACH, prefetch: 0 });
        await worker.told("ready");
        const jobs = {
          count: EACH,
          bulk: EACH,
          width: 1,
          task: { does: "wait", ms: 2 * lease },
        } as const;
        const begun = now();
        await scene.producer({ from: 0, ...jobs }).rest();
        await worker.told("started", ({ count }) => count === EACH);
        await scene.producer({ from: EACH, ...jobs, delay: DELAY }).rest();
        worker.child.write(`step ${ms}`);
        const moved = now();
        await scene.producer({ from: 2 * EACH, ...jobs }).rest();
        await scene.counts(drained);
        const took = now() - begun;
        const told = await worker.stop();
        const judged = await scene.judge();
        const late = disturbed(judged.history, lease);
        return late || handsAt(judged.history, moved) < IN_HAND ? undefined : { ...judged, told, took };
      });
      expect(left).toEqual(NOTHING);
      expect([runs.ends.size, runs.repeated]).toEqual([3 * EACH, 0]);
      expect(told.filter(({ tell }) => tell === "stale" || tell === "lost" || tell === "error")).toEqual([]);
      // Far less than the hour; a busy machine takes its time.
      expect(took).toBeLessThan(HOUR / 60);
    });
  }
}
