/** Workers that are stopped while the server sends them a job that they have not begun. */
import { expect, test } from "vitest";
import { QUEUE, type Told } from "../server/faults/fixtures/task.ts";
import { sceneOn } from "../server/faults/support/ground.ts";
import { disturbed } from "../server/faults/support/ledger.ts";
import { drained, NOTHING, type Scene, untilStruck } from "../server/faults/support/scene.ts";
import { natsGround } from "./support/grounds.ts";

const LEASE = 600;

const ground = await natsGround();

/** What the server says of the line of those that wait: pulls that stand there, and jobs that were sent and not settled. */
async function lineOf({ store }: Scene): Promise<{ readonly stands: number; readonly sent: number }> {
  if (store.kind !== "nats") throw new Error("Wants a scene on NATS");
  await using client = await ground.server.raw();
  const answer = await client.request(`$JS.API.CONSUMER.INFO.${store.prefix}_${QUEUE}.relevo`);
  const { num_waiting: stands = 0, num_ack_pending: sent = 0 } = JSON.parse(answer);
  return { stands, sent };
}

function lostOnes(told: readonly Told[]): readonly (string | undefined)[] {
  return told.filter(({ tell }) => tell === "lost").map(({ id }) => id);
}

for (const busy of [false, true]) {
  const before = busy ? 1 : 0;
  test(`a job on its way to a worker that is stopped ${busy ? "beside a job" : "while idle"} runs elsewhere, once, and is lost at most once`, async () => {
    const { id, runs, left, told } = await untilStruck(async (times) => {
      const lease = LEASE * times;
      const scene = sceneOn(ground, lease);
      const order = { lease, concurrency: 2, prefetch: 0 };
      const stopped = scene.worker(order);
      await stopped.told("ready");
      if (busy) {
        await scene.relay.dispatch("task", { n: 0, does: "wait", ms: 2 * lease });
        await stopped.told("started");
      }
      await expect.poll(async () => (await lineOf(scene)).stands, { timeout: 10_000 }).toBeGreaterThan(0);
      stopped.child.kill("SIGSTOP");
      const { id } = await scene.relay.dispatch("task", { n: 1 });
      const sent = async (): Promise<number> => (await lineOf(scene)).sent;
      // A signal takes its time, in which the job may have run.
      const isStruck = await expect.poll(sent, { interval: 5, timeout: lease / 2 }).toBe(before + 1)
        .then(() => true, () => false);
      if (!isStruck) return undefined;
      const heir = scene.worker(order);
      await scene.counts(drained);
      stopped.child.kill("SIGCONT");
      const told = [...await heir.stop()];
      // What is sent to it later is read later.
      await scene.relay.dispatch("task", { n: 2 });
      await stopped.told("started");
      await scene.counts(drained);
      told.push(...await stopped.stop());
      const judged = await scene.judge();
      return disturbed(judged.history, lease, [stopped.name]) ? undefined : { id, told, ...judged };
    });
    expect(left).toEqual(NOTHING);
    expect([runs.starts.size, runs.starts.get(id)]).toEqual([before + 2, 1]);
    expect(lostOnes(told).filter((one) => one === id).length).toBeLessThanOrEqual(1);
  });
}
