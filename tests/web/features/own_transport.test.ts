/** F073: a transport as a user may write one, over a map. */
import { expect, test } from "vitest";
import { createRelay, type Delivery, type Entry, fixed, type PushJob, type Transport } from "../../../mod.ts";
import { createFakeRuntime, type FakeRuntime } from "../../../src/testing/mod.ts";
import { free } from "../support/kit.ts";

interface Item extends PushJob {
  readonly due: number;
  readonly token?: string;
  readonly leaseEnd?: number;
  readonly dead?: { readonly channel: "failed" | "timeout"; readonly time: number };
}

/** Jobs in one map, by queue and id; a reserve that finds none polls again when its wait is over. */
function mapped(runtime: FakeRuntime): { readonly transport: Transport; readonly items: Map<string, Item> } {
  const items = new Map<string, Item>();
  let tokens = 0;
  const keyOf = (queue: string, id: string): string => `${queue} ${id}`;
  const held = (token: string): [string, Item] | undefined =>
    [...items].find(([, item]) => item.token === token && item.dead === undefined);
  const of = (queue: string): Item[] => [...items.values()].filter((item) => item.queue === queue);
  const channelOf = ({ dead, token, due }: Item): Entry["channel"] =>
    dead?.channel ?? (token !== undefined ? "reserved" : due > runtime.now() ? "delayed" : "waiting");
  const entryOf = (item: Item): Entry => ({
    queue: item.queue,
    channel: channelOf(item),
    id: item.id,
    name: item.name,
    payload: item.payload,
    size: item.payload.length,
    meta: item.meta,
    lost: 0,
    reset: false,
    time: item.dead?.time ?? item.due,
  });

  const transport: Transport = {
    name: "map",
    features: {
      durable: false,
      shared: false,
      exactFence: true,
      exactInfo: true,
      atomicPush: false,
      remote: false,
      clock: "process",
      idLive: true,
      idWindow: false,
    },
    limits: { payload: 1_000_000, bulk: 100, name: 255 },
    push: (jobs) =>
      Promise.resolve(jobs.map((job) => {
        const key = keyOf(job.queue, job.id);
        if (items.has(key)) return "duplicate";
        items.set(key, { ...job, due: job.at ?? runtime.now() + (job.delay ?? 0) });
        return "stored";
      })),
    async reserve(queues, { limit, lease, wait, signal }) {
      const take = (): Delivery[] =>
        [...items].filter(([, item]) =>
          queues.includes(item.queue) && channelOf(item) === "waiting" ||
          (item.leaseEnd ?? Infinity) <= runtime.now()
        ).slice(0, limit).map(([key, item]) => {
          const token = `t${++tokens}`;
          items.set(key, { ...item, token, leaseEnd: runtime.now() + lease });
          const lost = item.leaseEnd === undefined ? 0 : 1;
          return { ...item, token, lost, reset: false, lease };
        });
      const found = take();
      if (found.length > 0 || wait === 0) return found;
      await runtime.sleep(Math.min(wait, 50), signal);
      return take();
    },
    extend: (leases) =>
      Promise.resolve(leases.map(({ token, ms }) => {
        const [key, item] = held(token) ?? [];
        if (key === undefined || item === undefined) return { state: "stale" } as const;
        items.set(key, { ...item, leaseEnd: runtime.now() + ms });
        return { state: "held" } as const;
      })),
    settle: (settlements) =>
      Promise.resolve(settlements.map((settlement) => {
        const [key, item] = held(settlement.token) ?? [];
        if (key === undefined || item === undefined) return "stale";
        const { token: _token, leaseEnd: _end, ...rest } = item;
        if (settlement.to === "failed" || settlement.to === "timeout") {
          const dead = { channel: settlement.to, time: runtime.now() };
          items.set(key, { ...rest, meta: settlement.meta, dead });
        } else if (settlement.to === "again") {
          const due = settlement.at ?? runtime.now() + (settlement.delay ?? 0);
          items.set(key, {
            ...rest,
            due,
            meta: settlement.meta,
            payload: settlement.payload ?? item.payload,
          });
        } else if (settlement.to === "done") items.delete(key);
        else items.set(key, rest);
        return "settled";
      })),
    info: (queue) => {
      const counts = { waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0 };
      for (const item of of(queue)) counts[channelOf(item)]++;
      return Promise.resolve(counts);
    },
    queues: () => Promise.resolve([...new Set([...items.values()].map(({ queue }) => queue))].sort()),
    list: (queue, channel) =>
      Promise.resolve({ entries: of(queue).map(entryOf).filter((entry) => entry.channel === channel) }),
    get: (queue, ids) =>
      Promise.resolve(ids.map((id) => items.get(keyOf(queue, id))).map((item) => item && entryOf(item))),
    reload(queue, channel) {
      const dead = of(queue).filter((item) => item.dead?.channel === channel);
      for (const { dead: _dead, ...item } of dead) items.set(keyOf(queue, item.id), item);
      return Promise.resolve({ reloaded: dead.length, taken: 0 });
    },
    remove(queue, channel) {
      const gone = of(queue).filter((item) => channelOf(item) === channel);
      for (const { id } of gone) items.delete(keyOf(queue, id));
      return Promise.resolve(gone.length);
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return { transport, items };
}

test("F073: a relay works on a transport of a map that a user wrote: retries, dead letters, delays and lost leases", async () => {
  const runtime = createFakeRuntime();
  const { transport, items } = mapped(runtime);
  const relay = createRelay({ jobs: { job: free<string>() }, transport, runtime });
  const ran: string[] = [];
  relay.handle("job", (text, { attempt, job }) => {
    ran.push(`${text} ${attempt} ${job.lost}`);
    if (text === "bad") throw new Error("always");
  });
  await relay.dispatch("job", "held");
  await transport.reserve(["default"], { limit: 1, slots: 1, lease: 1_000, wait: 0, deadline: 1_000 });
  await relay.dispatch("job", "bad", { maxAttempts: 2, backoff: fixed(100) });
  await relay.dispatch("job", "later", { delay: 500 });
  const stop = new AbortController();
  const running = relay.run({ signal: stop.signal });
  await runtime.advance(2_000);
  stop.abort();
  await running;
  expect(ran).toEqual(["bad 1 0", "bad 2 0", "later 1 0", "held 1 1"]);
  expect(await relay.info()).toMatchObject({ waiting: 0, delayed: 0, reserved: 0, failed: 1 });
  expect((await relay.list("default", "failed")).jobs[0]?.lastError?.message).toBe("always");
  expect(await relay.reload("default", "failed", "all")).toEqual({ reloaded: 1, taken: 0 });
  await relay.drain();
  expect(await relay.remove("default", "failed", "all")).toBe(1);
  expect(items.size).toBe(0);
  await relay.close();
});
