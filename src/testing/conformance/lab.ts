/**
 * Where a case works: a store of its own, clients of it, and short words for things that cases do all the time.
 *
 * @module
 */

import type { Call, Delivery, Entry, Pushed, PushJob, ReserveOptions, Settled } from "../../jobs/exchange.ts";
import { type Channel, CHANNELS, type DeadChannel, type QueueInfo } from "../../jobs/job.ts";
import type { Transport } from "../../contract/transport.ts";
import { equal, only } from "./assert.ts";
import type { Subject } from "./subject.ts";
import { createTime, STEP, type Time } from "./time.ts";

/** Counts per channel, without those that depend on the clock. */
export type Counts = Omit<QueueInfo, "oldest">;

type Options = Partial<ReserveOptions> & { readonly queues?: readonly string[]; readonly from?: Transport };

/** How a delivery is to end, without naming it. */
export type Ending =
  | { readonly to: "done" | "release" }
  | {
    readonly to: "again";
    readonly meta: string;
    readonly payload?: Uint8Array;
    readonly delay?: number;
    readonly at?: number;
  }
  | { readonly to: DeadChannel; readonly meta: string; readonly reason: string };

/** The means of a case. */
export interface Lab extends Time {
  readonly subject: Subject;
  readonly store: string;
  /** The first client of the store. */
  readonly t: Transport;
  readonly call: Call;
  /** How far apart two readings of one instant may be. */
  readonly slack: number;
  /** Another client of the same store. */
  open(): Promise<Transport>;
  push(...jobs: readonly Partial<PushJob>[]): Promise<readonly Pushed[]>;
  /** Reserves the jobs that are there, with a lease that outlasts the case. */
  take(limit?: number, options?: Options): Promise<readonly Delivery[]>;
  /** Reserves the one job that must be there. */
  one(options?: Options): Promise<Delivery>;
  /** Reserves the jobs that come within a moment. */
  come(limit?: number, options?: Options): Promise<readonly Delivery[]>;
  settle(delivery: Delivery, ending: Ending, from?: Transport): Promise<Settled>;
  counts(queue?: string, from?: Transport): Promise<Counts>;
  /** The counts of a queue as soon as they are these, or those after a moment. */
  countsOnce(wanted: Counts, queue?: string, from?: Transport): Promise<Counts>;
  /** Claims the counts of a queue; where they are exact at rest only, as soon as all is at rest. */
  holds(wanted: Counts, what: string, queue?: string, from?: Transport): Promise<void>;
  /** All entries of a channel. */
  entries(channel: Channel, queue?: string): Promise<readonly Entry[]>;
  /** The entry with an id. */
  entry(id: string, queue?: string): Promise<Entry | undefined>;
}

/** The queue of a job that names none. */
export const QUEUE = "work";
const MOMENT = 3_000;
const encoder = new TextEncoder();

/** A text's bytes. */
export function bytes(text: string): Uint8Array {
  return encoder.encode(text);
}

/** A job with whatever a case does not care about filled in. */
export function job(part: Partial<PushJob> = {}): PushJob {
  const id = part.id ?? crypto.randomUUID();
  return { queue: QUEUE, id, name: "test.job", payload: bytes(id), meta: `{"v":1,"of":"${id}"}`, ...part };
}

/** Counts of a queue in which nothing else is. */
export function counted(part: Partial<Counts> = {}): Counts {
  return { waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0, ...part };
}

/** Runs a check in a store of its own, and leaves nothing behind. */
export async function inLab(subject: Subject, check: (lab: Lab) => Promise<void>): Promise<void> {
  const store = `relevo-${crypto.randomUUID()}`;
  const clients: Transport[] = [];
  const open = async (): Promise<Transport> => {
    const client = await subject.create(store);
    clients.push(client);
    return client;
  };
  try {
    await check(createLab(subject, store, await open(), open));
  } finally {
    for (const client of clients.reverse()) await client[Symbol.asyncDispose]();
    await subject.destroy?.(store);
  }
  equal(subject.alive?.() ?? 0, 0, "timers, sockets and the like that are alive when all is closed");
}

/** The values that the words of a lab work with. */
interface Means extends Time {
  readonly t: Transport;
  readonly call: Call;
}

function createLab(subject: Subject, store: string, t: Transport, open: () => Promise<Transport>): Lab {
  const time = createTime(subject);
  const { ms } = time;
  const call: Call = { deadline: ms(30_000) };
  const means: Means = { ...time, t, call };
  return {
    ...means,
    subject,
    store,
    slack: t.features.clock === "server" ? 2_000 : 5,
    open,
    push: (...jobs) => t.push(jobs.map(job), call),
    take: (limit, options) => take(means, limit, options),
    one: async (options) => only(await take(means, 1, options), "deliveries"),
    come: (limit, options) =>
      time.within(take(means, limit, { wait: ms(MOMENT), ...options }), ms(2 * MOMENT), "reserve"),
    settle: async (delivery, ending, from = t) => {
      const { queue, token } = delivery;
      return only(await from.settle([{ queue, token, ...ending }], call), "results of settle");
    },
    counts: (queue, from) => counts(means, queue, from),
    countsOnce: (wanted, queue, from) => countsOnce(means, wanted, queue, from),
    async holds(wanted, what, queue, from) {
      const found = t.features.exactInfo
        ? counts(means, queue, from)
        : countsOnce(means, wanted, queue, from);
      equal(await found, wanted, what);
    },
    entries: (channel, queue = QUEUE) => all(t, queue, channel, call),
    entry: async (id, queue = QUEUE) => (await t.get(queue, [id], call))[0],
  };
}

async function take(
  { t, call, long }: Means,
  limit = 1,
  { queues = [QUEUE], from = t, ...rest }: Options = {},
): Promise<readonly Delivery[]> {
  const options = { slots: limit, lease: long, wait: 0, ...call, ...rest };
  const found = [...await from.reserve(queues, { ...options, limit })];
  // Where counts are exact at rest only one look may miss a job that another finds.
  while (!from.features.exactInfo && found.length > 0 && found.length < limit) {
    const slots = options.slots - found.filter(({ lost }) => lost > 0).length;
    const more = await from.reserve(queues, { ...options, limit: limit - found.length, slots, wait: 0 });
    if (more.length === 0) break;
    found.push(...more);
  }
  return found;
}

async function counts({ t, call }: Means, queue: string = QUEUE, from: Transport = t): Promise<Counts> {
  const { waiting, delayed, reserved, failed, timeout } = await from.info(queue, call);
  return { waiting, delayed, reserved, failed, timeout };
}

async function countsOnce(
  means: Means,
  wanted: Counts,
  queue: string | undefined,
  from: Transport | undefined,
): Promise<Counts> {
  const { ms, elapse } = means;
  let found = await counts(means, queue, from);
  for (let spent = 0; !isSame(found, wanted) && spent < MOMENT; spent += STEP) {
    await elapse(ms(STEP));
    found = await counts(means, queue, from);
  }
  return found;
}

async function all(t: Transport, queue: string, channel: Channel, call: Call): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  let cursor: string | undefined;
  do {
    const page = await t.list(queue, channel, { limit: 1_000, preview: 2 ** 21, cursor }, call);
    entries.push(...page.entries);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return entries;
}

function isSame(a: Counts, b: Counts): boolean {
  return CHANNELS.every((channel) => a[channel] === b[channel]);
}
