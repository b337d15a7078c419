/** Processes that are killed in the middle of what they do. */
import { expect, test } from "vitest";
import { acknowledged, inHand, runsOf, unanswered } from "../support/ledger.ts";
import {
  type Actor,
  drained,
  IN_HAND,
  killBusy,
  NOTHING,
  type OpenScene,
  printRepeated,
  type Scene,
  untilStruck,
} from "../support/scene.ts";

const LEASE = 1_000;
const LONG = 30_000;
const KILLS = 4;
/** Strikes in all, those that found too few jobs in hand included. */
const STRIKES = 3 * KILLS;

function has(count: number): (told: { readonly count?: number }) => boolean {
  return (told) => (told.count ?? 0) >= count;
}

/** Kills one worker after the other, each replaced at once, until enough of them had jobs in hand, or all is done. */
async function strike(
  scene: Scene,
  crew: Actor[],
  order: Parameters<Scene["worker"]>[0],
  over: Promise<void>,
): Promise<number> {
  let struck = 0;
  const ended = over.then(() => "over" as const);
  for (let strikes = 0; struck < KILLS && strikes < STRIKES; strikes++) {
    const victim = crew.shift();
    if (victim === undefined) break;
    if (await Promise.race([victim.told("started", has(100)), ended]) === "over") break;
    if (await killBusy(victim, "started", () => inHand(scene.folder, victim.name), over)) struck++;
    crew.push(scene.worker(order));
  }
  return struck;
}

export function killScenes(open: OpenScene): void {
  test("workers killed again and again lose nothing while producers dispatch", async () => {
    const { runs, history, left } = await untilStruck(async (times) => {
      const scene = open(LEASE);
      await scene.relay.queues();
      const order = { lease: LEASE, concurrency: 16 };
      const task = { does: "wait", ms: 15 * times } as const;
      const producers = [0, 1].map((n) =>
        scene.producer({ from: n * 1_500, count: 1_500, bulk: 1, width: 16, task })
      );
      const crew = [scene.worker(order), scene.worker(order)];
      const over = Promise.all(producers.map((producer) => producer.rest()))
        .then(() => scene.counts(drained)).then(() => undefined);
      // It ends with the scene where a kill fails first.
      over.catch(() => undefined);
      const struck = await strike(scene, crew, order, over);
      if (struck < KILLS) {
        // The next play has the machine for itself.
        await Promise.all(crew.map((worker) => worker.kill()));
        return undefined;
      }
      await over;
      await Promise.all(crew.map((worker) => worker.stop()));
      return await scene.judge();
    });
    expect(left).toEqual(NOTHING);
    expect(acknowledged(history).size).toBe(3_000);
    expect(runs.ends.size).toBe(3_000);
    printRepeated(`${KILLS} kills`, runs);
  });

  for (const [what, bulk, width] of [["dispatch", 1, 32], ["dispatchMany", 200, 4]] as const) {
    test(`what a producer killed in the middle of ${what} had acknowledged is there, and is stored once`, async () => {
      await untilStruck(async () => {
        // No worker dies here, so that no lease is to end.
        const scene = open(LONG);
        const victim = scene.producer({ from: 0, count: 100_000, bulk, width });
        await victim.told("acknowledged", has(400));
        if (!await killBusy(victim, "acknowledged", () => unanswered(scene.folder, victim.name))) {
          return undefined;
        }
        const { history, left } = await scene.judge();
        const begun = new Set(history.flatMap((line) => line.op === "dispatch" ? [line.id] : [])).size;
        const before = acknowledged(history);
        expect(left.waiting).toBeGreaterThanOrEqual(before.size);
        expect(left.waiting).toBeLessThanOrEqual(begun);
        for (const id of before) expect(await scene.relay.get("work", id)).toBeDefined();

        await scene.producer({ from: 0, count: begun, bulk, width }).rest();
        expect((await scene.relay.info("work")).waiting).toBe(begun);
        const worker = scene.worker();
        await scene.counts(drained);
        await worker.stop();
        const { runs } = await scene.judge();
        expect([runs.starts.size, runs.repeated]).toEqual([begun, 0]);
        return true;
      });
    });
  }

  test("a job whose worker dies between the end of its handler and the settlement runs again", async () => {
    const { runs } = await untilStruck(async () => {
      const scene = open(LEASE);
      const task = { does: "gather" } as const;
      await scene.producer({ from: 0, count: 20, bulk: 20, width: 1, task }).rest();
      const victim = scene.worker({ lease: LEASE, concurrency: 20, atSettle: "kill" });
      await victim.rest();
      const first = runsOf((await scene.judge()).history);
      if (first.ends.size < IN_HAND) return undefined;
      const heir = scene.worker({ lease: LEASE });
      await scene.counts(drained);
      await heir.stop();
      const judged = await scene.judge();
      for (const id of first.ends.keys()) expect(judged.runs.ends.get(id)).toBeGreaterThanOrEqual(2);
      return judged;
    });
    expect(runs.ends.size).toBe(20);
    printRepeated("killed before the settlement", runs);
  });
}
