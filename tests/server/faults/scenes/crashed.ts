/** Workers that die while others live: what they held runs elsewhere soon, and what lives runs once. */
import { expect, test } from "vitest";
import { disturbed, inHand, now } from "../support/ledger.ts";
import {
  type Actor,
  drained,
  NOTHING,
  type OpenScene,
  printRepeated,
  untilStruck,
} from "../support/scene.ts";

const LEASE = 1_000;
const HELD = 25;
const LIVE = 5;
/** Leases in which all that a killed worker held runs elsewhere: its own, a look at what was lost, a busy machine. */
const SOON = 5;

export function crashScenes(open: OpenScene): void {
  test("F061: 25 jobs in hand of a killed worker run on one that lives, while its own of three leases run once", async () => {
    const { history, runs, left, killed, lease } = await untilStruck(async (times) => {
      const lease = LEASE * times;
      const scene = open(lease);
      await scene.relay.queues();
      const many = { bulk: 100, width: 1 };
      const victim = scene.worker({ lease, concurrency: HELD, prefetch: 0 });
      const held = { does: "wait", ms: 4 * lease } as const;
      await scene.producer({ from: 0, count: HELD, ...many, task: held }).rest();
      await victim.told("started", ({ count }) => count === HELD);
      const heir = scene.worker({ lease, concurrency: HELD + LIVE, prefetch: 0 });
      const long = { does: "wait", ms: 3 * lease } as const;
      await scene.producer({ from: HELD, count: LIVE, ...many, task: long }).rest();
      // A second worker that takes long to start comes when the first has ended its jobs, and taken these.
      const holds = (worker: Actor): number => inHand(scene.folder, worker.name);
      await expect.poll(() => holds(heir) === LIVE || holds(victim) !== HELD, { timeout: 60_000 }).toBe(true);
      await victim.kill();
      const killed = now();
      if (holds(victim) < HELD || holds(heir) < LIVE) return undefined;
      await scene.counts(drained);
      await heir.stop();
      const judged = await scene.judge();
      return disturbed(judged.history, lease, [victim.name]) ? undefined : { ...judged, killed, lease };
    });
    expect(left).toEqual(NOTHING);
    expect(runs.ends.size).toBe(HELD + LIVE);
    const again = history.flatMap((line) =>
      line.op === "start" && line.at > killed && !isLong(line.id) ? [line.at - killed] : []
    );
    expect(again).toHaveLength(HELD);
    expect(Math.max(...again)).toBeLessThan(SOON * lease);
    for (let n = HELD; n < HELD + LIVE; n++) expect(runs.starts.get(`job ${n}`)).toBe(1);
    printRepeated(`all ran elsewhere ${Math.round(Math.max(...again))} ms after the kill`, runs);
  });
}

function isLong(id: string): boolean {
  return Number(id.slice("job ".length)) >= HELD;
}
