/**
 * A random walk through the contract, beside a model. A delayed job is delayed by a year, and leases outlast the
 * walk, so that the clock decides nothing.
 *
 * @module
 */

import { CHANNELS, DEAD_CHANNELS } from "../../jobs/job.ts";
import { createRandom } from "../fake_runtime.ts";
import { equal, ok } from "./assert.ts";
import type { Ending, Lab } from "./lab.ts";
import { createModel, type Model } from "./model.ts";

/** The means of each step. */
interface Walk {
  readonly lab: Lab;
  readonly model: Model;
  /** Every token that ever was. */
  readonly tokens: string[];
  chance(part: number): boolean;
  pick<T>(list: readonly T[]): T | undefined;
}

const QUEUES = ["a", "b", "c"];
const YEAR = 365 * 86_400_000;
/** After so many steps the counts of all queues are compared, not only of the one that was touched. */
const FULL_CHECK = 50;
/** How often each kind of step is taken, in proportion. */
const STEPS = [
  push,
  push,
  push,
  push,
  reserve,
  reserve,
  reserve,
  settle,
  settle,
  settle,
  settle,
  reload,
  remove,
];

/** Walks so many steps; the same seed takes the same way. */
export async function walk(lab: Lab, seed: number, steps: number): Promise<void> {
  const random = createRandom(seed);
  const model = createModel();
  const here: Walk = {
    lab,
    model,
    tokens: [],
    chance: (part) => random() < part,
    pick: (list) => list[Math.floor(random() * list.length)],
  };
  for (let n = 1; n <= steps; n++) {
    const queue = here.pick(QUEUES) ?? "a";
    const step = here.pick(STEPS) ?? push;
    await step(here, queue);
    for (const touched of n % FULL_CHECK === 0 ? QUEUES : [queue]) {
      await lab.holds(model.counts(touched), `info of ${touched} after step ${n} (${step.name})`, touched);
    }
  }
}

async function push({ lab, model, chance, pick }: Walk, queue: string): Promise<void> {
  const own = pick(Array.from({ length: 12 }, (_, n) => `caller-${n}`)) ?? "";
  const id = chance(0.5) ? own : `generated-${model.next()}`;
  const delayed = chance(0.3);
  const meta = `m${model.next()}`;
  const [result] = await lab.push({ queue, id, meta, idWindow: 0, ...delayed ? { delay: YEAR } : {} });
  equal(result, model.live(queue, id) ? "duplicate" : "stored", `push of ${id}`);
  if (result === "stored") model.add(queue, id, delayed ? "delayed" : "waiting", meta);
}

async function reserve({ lab, model, pick, tokens }: Walk, queue: string): Promise<void> {
  const limit = pick([1, 2, 3, 4]) ?? 1;
  const waiting = model.inChannel(queue, "waiting");
  const deliveries = await lab.take(limit, { queues: [queue] });
  equal(deliveries.length, Math.min(limit, waiting.length), "number of deliveries");
  for (const { id, token, meta, reset, lost } of deliveries) {
    const found = waiting.find((one) => one.id === id && one.channel === "waiting");
    ok(found !== undefined, `'${id}' waits in the model`);
    equal({ meta, reset, lost }, { meta: found.meta, reset: found.reset, lost: 0 }, `delivery of ${id}`);
    ok(!tokens.includes(token), "a token that was never given before");
    tokens.push(token);
    found.channel = "reserved";
    found.token = token;
  }
}

/** Any token that ever was: many are stale. */
async function settle({ lab, model, chance, pick, tokens }: Walk, queue: string): Promise<void> {
  const token = chance(0.7) ? pick(model.inChannel(queue, "reserved"))?.token : pick(tokens);
  if (token === undefined) return;
  const meta = `m${model.next()}`;
  const ending = pick<Ending>([
    { to: "done" },
    { to: "release" },
    { to: "again", meta },
    { to: "again", meta, delay: YEAR },
    { to: pick(DEAD_CHANNELS) ?? "failed", meta, reason: "r" },
  ]) ?? { to: "done" };
  const found = model.held(queue, token);
  const results = await lab.t.settle([{ queue, token, ...ending }], lab.call);
  equal(results, [found === undefined ? "stale" : "settled"], `settle to ${ending.to}`);
  if (found !== undefined) model.settle(found, ending);
}

async function reload({ lab, model, chance, pick }: Walk, queue: string): Promise<void> {
  const channel = pick(DEAD_CHANNELS) ?? "failed";
  const reset = chance(0.5);
  const found = await lab.t.reload(queue, channel, "all", { ...lab.call, reset });
  equal(found, model.reload(queue, channel, reset), `reload of ${channel}`);
}

async function remove({ lab, model, chance, pick }: Walk, queue: string): Promise<void> {
  const channel = pick(CHANNELS) ?? "waiting";
  const id = chance(0.8) ? pick(model.inChannel(queue, channel))?.id : undefined;
  const removed = await lab.t.remove(queue, channel, id === undefined ? "all" : { ids: [id] }, lab.call);
  equal(removed, model.remove(queue, channel, id), `removed from ${channel}`);
}
