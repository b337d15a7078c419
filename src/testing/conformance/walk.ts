/**
 * A random walk through the contract beside a model that is too small to be wrong. No time goes by in the model:
 * what is delayed is delayed by a year, and leases outlast the walk.
 *
 * @module
 */

import type { Settled } from "../../exchange.ts";
import { type Channel, CHANNELS, DEAD_CHANNELS, type DeadChannel } from "../../job.ts";
import { createRandom } from "../fake_runtime.ts";
import { equal, ok } from "./assert.ts";
import { counted, type Ending, type Lab } from "./lab.ts";

interface ModelJob {
  readonly id: string;
  readonly queue: string;
  channel: Channel;
  meta: string;
  reset: boolean;
  token: string | undefined;
  /** Orders deaths. */
  died: number;
}

const QUEUES = ["a", "b", "c"];
const YEAR = 365 * 86_400_000;
/** How often all counts are compared besides those of the queue that was touched. */
const FULL_CHECK = 50;

/** Walks so many steps; the same seed takes the same way. */
export async function walk(lab: Lab, seed: number, steps: number): Promise<void> {
  const random = createRandom(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  const jobs = new Set<ModelJob>();
  const tokens: string[] = [];
  let clock = 0;
  const inChannel = (queue: string, channel: Channel): ModelJob[] =>
    [...jobs].filter((one) => one.queue === queue && one.channel === channel);
  const live = (queue: string, id: string): boolean =>
    [...jobs].some((one) => one.queue === queue && one.id === id && !isDead(one.channel));

  async function push(queue: string): Promise<void> {
    const id = random() < 0.5 ? `caller-${below(12)}` : `generated-${++clock}`;
    const delayed = random() < 0.3;
    const meta = `m${++clock}`;
    const [result] = await lab.push({ queue, id, meta, idWindow: 0, ...delayed ? { delay: YEAR } : {} });
    equal(result, live(queue, id) ? "duplicate" : "stored", `push of ${id}`);
    if (result !== "stored") return;
    jobs.add({
      id,
      queue,
      channel: delayed ? "delayed" : "waiting",
      meta,
      reset: false,
      token: undefined,
      died: 0,
    });
  }

  async function reserve(queue: string): Promise<void> {
    const limit = 1 + below(4);
    const waiting = inChannel(queue, "waiting");
    const deliveries = await lab.take(limit, { queues: [queue] });
    equal(deliveries.length, Math.min(limit, waiting.length), "number of deliveries");
    for (const { id, token, meta, reset, lost } of deliveries) {
      const found = waiting.find((one) => one.id === id && one.channel === "waiting");
      ok(found !== undefined, `'${id}' waits in the model`);
      equal({ meta, reset, lost }, { meta: found.meta, reset: found.reset, lost: 0 }, `delivery of ${id}`);
      ok(!tokens.includes(token), "a new token");
      tokens.push(token);
      Object.assign(found, { channel: "reserved", token });
    }
  }

  function ending(): Ending {
    const meta = `m${++clock}`;
    const channel: DeadChannel = pick(DEAD_CHANNELS);
    return pick<Ending>([
      { to: "done" },
      { to: "release" },
      { to: "again", meta },
      { to: "again", meta, delay: YEAR },
      { to: channel, meta, reason: "r" },
    ]);
  }

  /** Any token that ever was: most are stale. */
  async function settle(queue: string): Promise<void> {
    const token = random() < 0.7 ? pick(inChannel(queue, "reserved"))?.token : pick(tokens);
    if (token === undefined) return;
    const found = [...jobs].find((one) => one.queue === queue && one.token === token);
    const end = ending();
    const [result] = await lab.t.settle([{ queue, token, ...end }], lab.call);
    const wanted: Settled = found === undefined ? "stale" : "settled";
    equal(result, wanted, `settle to ${end.to}`);
    if (found === undefined) return;
    found.token = undefined;
    if (!("meta" in end)) {
      if (end.to === "done") jobs.delete(found);
      else found.channel = "waiting";
      return;
    }
    const delayed = end.to === "again" && end.delay !== undefined;
    const channel = end.to === "again" ? delayed ? "delayed" : "waiting" : end.to;
    Object.assign(found, { channel, meta: end.meta, died: ++clock, reset: false });
  }

  async function reload(queue: string): Promise<void> {
    const channel = pick(DEAD_CHANNELS);
    const reset = random() < 0.5;
    const wanted = { reloaded: 0, taken: 0 };
    for (const one of inChannel(queue, channel).sort((a, b) => a.died - b.died)) {
      const taken = live(queue, one.id);
      wanted[taken ? "taken" : "reloaded"]++;
      if (!taken) Object.assign(one, { channel: "waiting", reset });
    }
    equal(await lab.t.reload(queue, channel, "all", { ...lab.call, reset }), wanted, "reload");
  }

  async function remove(queue: string): Promise<void> {
    const channel = pick(CHANNELS);
    const victims = inChannel(queue, channel);
    const id = random() < 0.8 ? pick(victims)?.id : undefined;
    const named = victims.filter((one) => id === undefined || one.id === id);
    const select = id === undefined ? "all" : { ids: [id] };
    equal(await lab.t.remove(queue, channel, select, lab.call), named.length, `removed from ${channel}`);
    for (const one of named) jobs.delete(one);
  }

  async function compare(queue: string, step: number): Promise<void> {
    const wanted: Record<Channel, number> = { ...counted() };
    for (const channel of CHANNELS) wanted[channel] = inChannel(queue, channel).length;
    equal(await lab.counts(queue), wanted, `info of ${queue} after step ${step}`);
  }

  const moves = [
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
  for (let step = 1; step <= steps; step++) {
    const queue = pick(QUEUES);
    await pick(moves)(queue);
    await compare(queue, step);
    if (step % FULL_CHECK === 0) { for (const other of QUEUES) await compare(other, step); }
  }
}

function isDead(channel: Channel): boolean {
  return channel === "failed" || channel === "timeout";
}
