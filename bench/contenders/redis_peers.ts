/**
 * The peers on Redis, each through its own documented calls, its settings for the best throughput that keeps a promise:
 * a job that was taken is stored, and a job that is done is gone. What is used of them is described here, as their types
 * are installed for the benchmark alone.
 *
 * @module
 */

import { load } from "../lib/load.ts";
import type { Address } from "../servers/address.ts";
import {
  type Contender,
  type OpenOptions,
  type Payload,
  type Stop,
  type Subject,
  workOff,
  workThrough,
} from "./contender.ts";

type Counts = Readonly<Record<string, number>>;

/** Where a contender's server is. */
export function serverOf({ address }: OpenOptions): Address {
  if (address === undefined) throw new TypeError("The plan gives no server");
  return address;
}

function sum(counts: Counts, names: readonly string[]): number {
  return names.reduce((total, name) => total + (counts[name] ?? 0), 0);
}

/** A worker for each queue, as that is how they have several. */
async function idle(queues: number, open: (name: string) => Promise<Required<Subject>>): Promise<Stop> {
  const stops: Stop[] = [];
  for (let index = 0; index < queues; index++) {
    const subject = await open(`queue-${index}`);
    stops.push(await subject.listen(() => {}), subject.close);
  }
  return async () => {
    for (const stop of stops) await stop();
  };
}

interface BullQueue {
  add(name: string, data: Payload, options?: object): Promise<unknown>;
  addBulk(jobs: readonly { name: string; data: Payload }[]): Promise<unknown>;
  getJobCounts(...types: string[]): Promise<Counts>;
  waitUntilReady(): Promise<unknown>;
  close(): Promise<void>;
}

interface BullMq {
  Queue: new (name: string, options: object) => BullQueue;
  Worker: new (name: string, handler: () => Promise<void>, options: object) => {
    waitUntilReady(): Promise<unknown>;
    close(): Promise<void>;
  };
}

/** Defaults but for concurrency, and for `removeOnComplete`, as the others do not keep what is done either. */
export const bullmq: Contender = {
  open: openBull,
  idle: (options, queues) => idle(queues, (name) => openBull(options, name)),
  spread: (options, queues) => spread(queues, (name) => openBull(options, name)),
};

/** Many queues as one subject: a queue and a worker for each. */
async function spread(queues: number, open: (name: string) => Promise<Required<Subject>>): Promise<Subject> {
  const subjects: Required<Subject>[] = [];
  for (let index = 0; index < queues; index++) subjects.push(await open(`queue-${index}`));
  const of = ({ userId }: Payload): Subject | undefined => subjects[userId % queues];
  const listen: Required<Subject>["listen"] = async (entered, concurrency) => {
    const stops: Stop[] = [];
    for (const subject of subjects) stops.push(await subject.listen(entered, concurrency));
    return async () => void await Promise.all(stops.map((stop) => stop()));
  };
  return {
    one: (payload) => of(payload)?.one(payload),
    many: (payloads) => Promise.all(payloads.map((payload) => of(payload)?.one(payload))),
    work: (total, concurrency) => workThrough(listen, total, concurrency),
    listen,
    close: async () => void await Promise.all(subjects.map((subject) => subject.close())),
  };
}

async function openBull(options: OpenOptions, name = "welcome"): Promise<Required<Subject>> {
  const { Queue, Worker } = await load<BullMq>("bullmq");
  const { host, port } = serverOf(options);
  const connection = { host, port };
  const queue = new Queue(name, { connection, defaultJobOptions: { removeOnComplete: true } });
  await queue.waitUntilReady();
  const subject: Required<Subject> = {
    one: (payload) => queue.add("welcome", payload),
    many: (payloads) => queue.addBulk(payloads.map((data) => ({ name: "welcome", data }))),
    later: (payload, at) => queue.add("welcome", payload, { delay: Math.max(0, at - Date.now()) }),
    work: (total, concurrency) => workOff(subject, total, concurrency),
    async listen(entered, concurrency = 10) {
      // deno-lint-ignore require-await
      const worker = new Worker(name, async () => entered(), { connection, concurrency });
      await worker.waitUntilReady();
      return () => worker.close();
    },
    async left() {
      return sum(await queue.getJobCounts(...BULL_LIVE), BULL_LIVE);
    },
    close: () => queue.close(),
  };
  return subject;
}

const BULL_LIVE = ["wait", "active", "delayed", "prioritized", "paused"];

interface BeeJob {
  delayUntil(at: number): BeeJob;
  save(): Promise<unknown>;
}

interface BeeQueue {
  createJob(payload: Payload): BeeJob;
  saveAll(jobs: readonly BeeJob[]): Promise<unknown>;
  process(concurrency: number, handler: () => Promise<void>): void;
  checkHealth(): Promise<Counts>;
  ready(): Promise<unknown>;
  close(): Promise<void>;
}

/** What its README tells to leave out where speed counts: events, and jobs kept in the process. */
const BEE = { getEvents: false, sendEvents: false, storeJobs: false, removeOnSuccess: true };

/** One connection to add with, and a worker of its own. */
export const beeQueue: Contender = {
  open: openBee,
  idle: (options, queues) => idle(queues, (name) => openBee(options, name)),
};

async function openBee(options: OpenOptions, name = "welcome"): Promise<Required<Subject>> {
  const { default: Queue } = await load<{ default: new (name: string, settings: object) => BeeQueue }>(
    "bee-queue",
  );
  const { host, port } = serverOf(options);
  const open = async (settings: object): Promise<BeeQueue> => {
    const queue = new Queue(name, { redis: { host, port }, ...BEE, ...settings });
    await queue.ready();
    return queue;
  };
  const queue = await open({ isWorker: false });
  const subject: Required<Subject> = {
    one: (payload) => queue.createJob(payload).save(),
    many: (payloads) => queue.saveAll(payloads.map((payload) => queue.createJob(payload))),
    later: (payload, at) => queue.createJob(payload).delayUntil(at).save(),
    work: (total, concurrency) => workOff(subject, total, concurrency),
    async listen(entered, concurrency = 10) {
      const worker = await open({ activateDelayedJobs: true });
      // deno-lint-ignore require-await
      worker.process(concurrency, async () => entered());
      return () => worker.close();
    },
    async left() {
      return sum(await queue.checkHealth(), ["waiting", "active", "delayed"]);
    },
    close: () => queue.close(),
  };
  return subject;
}

interface GroupQueue {
  add(options: { groupId: string; data: Payload; runAt?: number }): Promise<unknown>;
  getJobCounts(): Promise<Counts>;
  close(): Promise<void>;
}

interface GroupMq {
  Queue: new (options: object) => GroupQueue;
  Worker: new (options: object) => { run(): Promise<void>; close(): Promise<void> };
}

/** Jobs of one group run one after another, so there are as many groups as users. */
const GROUPS = 1_000;

/** Its batches of adds resolve when they are stored, so they are used wherever more than one call is under way. */
export const groupmq: Contender = {
  async open(options) {
    const { Queue, Worker } = await load<GroupMq>("groupmq");
    const { default: Redis } = await load<{ default: new (options: object) => unknown }>("ioredis");
    const { host, port } = serverOf(options);
    const redis = new Redis({ host, port, maxRetriesPerRequest: null });
    const settings = { redis, namespace: "welcome" };
    const queue = new Queue(settings);
    const batching = new Queue({ ...settings, autoBatch: { size: 500, maxWaitMs: 1 } });
    const groupId = ({ userId }: Payload): string => `user-${userId % GROUPS}`;
    let calls = 0;
    const subject: Required<Subject> = {
      async one(data) {
        calls++;
        try {
          await (calls > 1 ? batching : queue).add({ groupId: groupId(data), data });
        } finally {
          calls--;
        }
      },
      many: (payloads) => Promise.all(payloads.map((data) => batching.add({ groupId: groupId(data), data }))),
      later: (data, runAt) => batching.add({ groupId: groupId(data), data, runAt }),
      work: (total, concurrency) => workOff(subject, total, concurrency),
      listen(entered, concurrency = 10) {
        // deno-lint-ignore require-await
        const worker = new Worker({ queue, concurrency, handler: async () => entered() });
        void worker.run();
        return Promise.resolve(() => worker.close());
      },
      async left() {
        return sum(await queue.getJobCounts(), ["waiting", "active", "delayed"]);
      },
      close: () => batching.close(),
    };
    return subject;
  },
};
