/** Jobs that end their workers. */
import { expect, test } from "vitest";
import { inHand, now } from "../support/ledger.ts";
import {
  drained,
  IN_HAND,
  NOTHING,
  type OpenScene,
  printRepeated,
  type Scene,
  untilStruck,
} from "../support/scene.ts";

const LEASE = 1_000;
/** Milliseconds for all plays of a test. */
const WHOLE = 400_000;
/** Runs that a job survives to lose. */
const MAX_LOST = 2;
const BEFORE = 40;
const BEHIND = 60;

/** Starts one worker after the other, as a supervisor does, until nothing is left to be done. */
async function supervise(scene: Scene, lease: number): Promise<readonly number[]> {
  const hands: number[] = [];
  const done = scene.counts(drained).then(() => "done" as const);
  for (;;) {
    const worker = scene.worker({ lease, concurrency: 1, maxLost: MAX_LOST });
    const died = worker.rest().then(() => "died" as const);
    if (await Promise.race([done, died]) === "done") {
      worker.child.write("stop");
      await died;
      return hands;
    }
    hands.push(inHand(scene.folder, worker.name));
  }
}

export function poisonScenes(open: OpenScene): void {
  test("with maxLost 0 what a killed worker had in hand is in timeout within two leases", async () => {
    const { left, history } = await untilStruck(async (times) => {
      const lease = LEASE * times;
      const scene = open(lease);
      const order = { lease, maxLost: 0, concurrency: 12, prefetch: 0 };
      const victim = scene.worker(order);
      await scene.producer({ from: 0, count: 12, bulk: 12, width: 1, task: { does: "wait", ms: 60_000 } })
        .rest();
      await victim.told("started", ({ count }) => count === 12);
      const heir = scene.worker(order);
      await heir.told("ready");
      await victim.kill();
      const killed = now();
      if (inHand(scene.folder, victim.name) < IN_HAND) return undefined;
      await scene.counts(drained);
      const late = now() - killed > 2 * lease;
      await heir.stop();
      const judged = await scene.judge();
      return late ? undefined : judged;
    });
    expect(left).toEqual({ waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 12 });
    // What comes so late that its lease is nearly over goes back.
    const reasons = history.flatMap((line) =>
      line.op === "settle" && line.to !== "release" ? [`${line.to} ${line.reason}`] : []
    );
    expect(new Set(reasons)).toEqual(new Set(["timeout lost"]));
  }, WHOLE);

  for (const does of ["kill", "exit"] as const) {
    test(
      `a job that ends its worker by ${does} ends in timeout as lost, and takes no prefetched job with it`,
      async () => {
        const { left, history, runs, scene } = await untilStruck(async (times) => {
          const lease = LEASE * times;
          const scene = open(lease);
          const many = { bulk: 100, width: 1 };
          await scene.producer({ from: 0, count: BEFORE, ...many }).rest();
          await scene.producer({ from: BEFORE, count: 1, ...many, task: { does } }).rest();
          await scene.producer({ from: BEFORE + 1, count: BEHIND, ...many }).rest();
          const hands = await supervise(scene, lease);
          // A slow machine fetches fewer ahead; one beside the job itself shows the same.
          if ((hands[0] ?? 0) < Math.max(2, IN_HAND / times)) return undefined;
          return { ...await scene.judge(), scene };
        });
        expect(left).toEqual({ ...NOTHING, timeout: 1 });
        const poison = `job ${BEFORE}`;
        expect(await scene.relay.get("work", poison)).toMatchObject({
          channel: "timeout",
          dead: { reason: "lost" },
        });
        expect(runs.starts.get(poison)).toBe(MAX_LOST + 1);
        expect(runs.ends.has(poison)).toBe(false);
        expect(runs.ends.size).toBe(BEFORE + BEHIND);
        expect(history.filter((line) => line.op === "settle" && line.to === "timeout").length)
          .toBeGreaterThan(
            0,
          );
        printRepeated(`a job that ends its worker by ${does}`, runs);
      },
      WHOLE,
    );
  }
}
