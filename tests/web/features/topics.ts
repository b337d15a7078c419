/** Topics and groups beside queues: F045 to F047, W01, W21, and what a group's jobs go through. */
import { expect, it } from "vitest";
import {
  after,
  fixed,
  type QueueInfo,
  reschedule,
  retry,
  type Topics,
  type Transport,
  TransportError,
} from "../../../mod.ts";
import { free, heard, rejection, running, wrapped } from "../support/kit.ts";
import type { OpenPlace } from "../support/place.ts";

const EMPTY: QueueInfo = { waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0 };
const jobs = {
  "order.paid": { schema: free<number>(), topic: true, queue: "orders" },
  "order.sent": { schema: free<number>(), topic: true, queue: "orders" },
  "mail.sent": { schema: free<number>(), topic: true },
  "work": free<number>(),
};

function topicsOf({ topics }: Transport): Topics {
  if (topics === undefined) throw new Error("A transport with topics was wanted");
  return topics;
}

export function topics(open: OpenPlace): void {
  sharing(open);
  lives(open);
  bindings(open);
  trouble(open);
}

/** Who gets what. */
function sharing(open: OpenPlace): void {
  it("F045: each of three groups gets every job of its topic, and two topics do not mix", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const runs: string[] = [];
    for (const group of ["billing", "mailer", "stats"]) {
      relay.handle("order.paid", (n) => void runs.push(`${group} ${n}`), { group });
    }
    relay.handle("mail.sent", (n) => void runs.push(`mail ${n}`), { group: "stats" });
    const worker = running(relay);
    await runtime.advance(10);
    await relay.dispatch("order.paid", 1);
    await relay.dispatch("mail.sent", 2);
    await runtime.advance(1_000);
    await worker.abort();
    expect(runs.sort()).toEqual(["billing 1", "mail 2", "mailer 1", "stats 1"]);
  });

  it.each(
    [["a queue", "work", undefined, 100], ["a topic with one group", "order.paid", ["a", "a"], 100], [
      "a topic with two groups",
      "order.paid",
      ["a", "b"],
      200,
    ]] as const,
  )("F046, W21: two workers on %s, 100 jobs", async (_, name, groups, wanted) => {
    const { runtime, ...place } = open();
    const runs = [0, 0];
    const workers = runs.map((__, n) => {
      const relay = place.relay(jobs, { transport: place.connect() });
      const handler = async (): Promise<void> => {
        runs[n] = (runs[n] ?? 0) + 1;
        await runtime.sleep(1);
      };
      relay.handle(name, handler, { group: groups?.[n] });
      return running(relay, { concurrency: 1, prefetch: 0, poll: 50 });
    });
    await runtime.advance(100);
    await place.relay(jobs).dispatchMany(Array.from({ length: 100 }, (__, n) => ({ name, payload: n })));
    await runtime.advance(5_000);
    for (const worker of workers) await worker.abort();
    expect(runs.reduce((sum, one) => sum + one)).toBe(wanted);
    for (const one of runs) expect(one).toBeGreaterThan(0);
  });

  it("F047, W01: what was dispatched before any group runs in the first, and later ones begin with the next", async () => {
    const { ...place } = open();
    const relay = place.relay(jobs);
    for (let n = 0; n < 100; n++) await relay.dispatch("order.paid", n);
    expect(await relay.info("orders@")).toMatchObject({ waiting: 100 });
    const runs: Record<string, number[]> = { a: [], b: [] };
    relay.handle("order.paid", (n) => void runs.a?.push(n), { group: "a" });
    await relay.drain({ concurrency: 1 });
    relay.handle("order.paid", (n) => void runs.b?.push(n), { group: "b" });
    await relay.drain();
    await relay.dispatch("order.paid", 100);
    await relay.drain();
    expect(runs).toEqual({ a: Array.from({ length: 101 }, (_, n) => n), b: [100] });
    expect(await relay.info("orders@")).toEqual(EMPTY);
  });

  it("jobs that name one topic share its groups, each with handlers of its own", async () => {
    const relay = open().relay(jobs);
    const runs: string[] = [];
    relay.handle("order.paid", (n, { job }) => void runs.push(`${job.queue} paid ${n}`), { group: "a" });
    relay.handle("order.sent", (n, { job }) => void runs.push(`${job.queue} sent ${n}`), { group: "a" });
    relay.handle("order.sent", (n, { job }) => void runs.push(`${job.queue} sent ${n}`), { group: "b" });
    await relay.bind("order.paid", "a");
    await relay.bind("order.sent", "b");
    await relay.dispatch("order.sent", 1);
    await relay.drain();
    expect(runs.sort()).toEqual(["orders@a sent 1", "orders@b sent 1"]);
    expect(await relay.groups("order.paid")).toEqual(["a", "b"]);
    expect(await relay.groups("mail.sent")).toEqual([]);
  });

  it("a dispatch of many mixes topics and queues, all or nothing where that can be", async () => {
    const relay = open().relay(jobs);
    for (const group of ["a", "b"]) await relay.bind("order.paid", group);
    await relay.dispatch("order.paid", 0, { id: "x" });
    const batch = [{ name: "work", payload: 1 }, { name: "order.paid", payload: 2 }] as const;
    const { atomicPush: atomic } = relay.transport.features;
    if (atomic) {
      const refused = relay.dispatchMany([...batch, { name: "order.paid", payload: 3, id: "x" }], { atomic });
      expect(await rejection(refused)).toMatchObject({ code: "BULK_REFUSED", stored: 0 });
    }
    await relay.dispatchMany(batch, { atomic });
    for (const queue of ["orders@a", "orders@b"]) {
      expect(await relay.info(queue)).toMatchObject({ waiting: 2 });
    }
    expect(await relay.info()).toMatchObject({ waiting: 1 });
    expect(await relay.dispatch("order.paid", 0, { id: "x" })).toEqual({ id: "x", status: "duplicate" });
  });
}

/** What becomes of a group's jobs. */
function lives(open: OpenPlace): void {
  it("retries, deaths and counts are each group's own", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const runs: string[] = [];
    relay.handle("order.paid", () => void runs.push("done"), { group: "done" });
    relay.handle("order.paid", (_, { attempt }) => {
      runs.push(`flaky ${attempt}`);
      return attempt === 1 ? retry({ delay: 1_000 }) : undefined;
    }, { group: "flaky" });
    relay.handle("order.paid", () => {
      throw new Error("always");
    }, { group: "dead" });
    const failed = heard(relay.events, "failed");
    const worker = running(relay, { maxRetry: 2, backoff: fixed(10_000, { jitter: 0 }) });
    await runtime.advance(10);
    await relay.dispatch("order.paid", 1, { id: "x" });
    await runtime.advance(500);
    expect(await relay.info("orders@done")).toEqual(EMPTY);
    expect(await relay.info("orders@flaky")).toMatchObject({ delayed: 1 });
    expect(await relay.info("orders@dead")).toMatchObject({ delayed: 1 });
    await runtime.advance(15_000);
    expect(runs.sort()).toEqual(["done", "flaky 1", "flaky 2"]);
    expect(failed.map(({ job, reason }) => [job.queue, job.id, reason])).toEqual([[
      "orders@dead",
      "x",
      "exhausted",
    ]]);
    const { jobs: listed } = await relay.list("orders@dead", "failed");
    expect(listed.map(({ id, name, queue, attempts }) => [id, name, queue, attempts])).toEqual([
      ["x", "order.paid", "orders@dead", 2],
    ]);
    expect(await relay.reload("orders@dead", "failed", "all")).toEqual({ reloaded: 1, taken: 0 });
    await runtime.advance(1_000);
    expect(failed).toHaveLength(2);
    expect(await relay.remove("orders@dead", "failed", "all")).toBe(1);
    expect(await relay.queues()).toEqual(
      expect.arrayContaining(["orders@dead", "orders@done", "orders@flaky"]),
    );
    await worker.abort();
  });

  it("a job that is rescheduled comes back to its group alone, and a delay holds for each", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const runs: string[] = [];
    relay.handle("order.paid", (n) => {
      runs.push(`a ${n}`);
      return n === 1 ? reschedule(after(1_000), { payload: 2 }) : undefined;
    }, { group: "a" });
    relay.handle("order.paid", (n) => void runs.push(`b ${n}`), { group: "b" });
    const worker = running(relay);
    await runtime.advance(10);
    await relay.dispatch("order.paid", 1, { delay: 1_000 });
    await runtime.advance(900);
    expect(runs).toEqual([]);
    await runtime.advance(3_000);
    await worker.abort();
    expect(runs.sort()).toEqual(["a 1", "a 2", "b 1"]);
  });

  it("a name is unknown to the group that has no handler for it, whatever others have", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const runs: number[] = [];
    relay.handle("order.paid", () => undefined, { group: "a" });
    relay.handle("order.sent", (n) => void runs.push(n), { group: "b" });
    const failed = heard(relay.events, "failed");
    const released = heard(relay.events, "released");
    const worker = running(relay, { unknownFor: 5_000 });
    await runtime.advance(10);
    await relay.dispatch("order.sent", 1);
    await runtime.advance(60_000);
    await worker.abort();
    expect(runs).toEqual([1]);
    expect(released.every(({ job, reason }) => job.queue === "orders@a" && reason === "unknown")).toBe(true);
    expect(failed).toMatchObject([{
      job: { queue: "orders@a", name: "order.sent" },
      reason: "unknown",
      error: { message: "Unknown job 'order.sent': this worker has no handler for it in group 'a'" },
    }]);
  });
}

/** When groups are bound. */
function bindings(open: OpenPlace): void {
  it("a deploy binds a group, whose workers miss nothing when they come", async () => {
    const place = open();
    const relay = place.relay(jobs);
    await relay.bind("order.paid", "old");
    await relay.bind("order.paid", "new");
    await relay.bind("order.paid", "new");
    await relay.dispatch("order.paid", 1);
    const later = place.relay(jobs, { transport: place.connect() });
    const runs: number[] = [];
    later.handle("order.paid", (n) => void runs.push(n), { group: "new" });
    await later.drain();
    expect(runs).toEqual([1]);
    expect(await relay.info("orders@old")).toMatchObject({ waiting: 1 });
    expect(await relay.unbind("order.paid", "old")).toBe(true);
    expect(await relay.unbind("order.paid", "old")).toBe(false);
    expect(await relay.groups("order.sent")).toEqual(["new"]);
  });

  it("a worker binds before its first reserve, and a handler that comes while it runs", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    relay.handle("order.paid", () => undefined, { group: "first" });
    const worker = running(relay);
    await runtime.advance(10);
    expect(await relay.groups("order.paid")).toEqual(["first"]);
    const runs: number[] = [];
    const second = relay.handle("order.paid", (n) => void runs.push(n), { group: "second" });
    await runtime.advance(10);
    expect(await relay.groups("order.paid")).toEqual(["first", "second"]);
    await relay.dispatch("order.paid", 1);
    await runtime.advance(100);
    expect(runs).toEqual([1]);
    second[Symbol.dispose]();
    await relay.dispatch("order.paid", 2);
    await runtime.advance(100);
    expect(await relay.info("orders@second")).toMatchObject({ waiting: 1 });
    await worker.abort();
  });

  it("a group that its own relay unbinds under a running worker stays so, and its rest is worked off", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const runs: number[] = [];
    relay.handle("order.paid", (n) => void runs.push(n), { group: "a" });
    const worker = running(relay);
    await runtime.advance(10);
    await relay.dispatch("order.paid", 1, { delay: 100 });
    expect(await relay.unbind("order.paid", "a")).toBe(true);
    await relay.dispatch("order.paid", 2);
    await runtime.advance(60_000);
    expect(runs).toEqual([1]);
    expect(await relay.info("orders@")).toMatchObject({ waiting: 1 });
    await worker.abort();
  });

  it("a worker of given queues binds and consumes those groups only", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const runs: string[] = [];
    for (const group of ["a", "b"]) {
      relay.handle("order.paid", (n) => void runs.push(`${group} ${n}`), { group });
    }
    const worker = running(relay, { queues: ["orders@a", "orders@gone"] });
    await runtime.advance(10);
    expect(await relay.groups("order.paid")).toEqual(["a"]);
    await relay.bind("order.paid", "b");
    await relay.dispatch("order.paid", 1);
    await runtime.advance(1_000);
    expect(runs).toEqual(["a 1"]);
    worker.worker.update({ queues: ["orders@b"] });
    await runtime.advance(1_000);
    expect(runs).toEqual(["a 1", "b 1"]);
    await worker.abort();
  });
}

/** Transports that fail while groups are bound. */
function trouble(open: OpenPlace): void {
  it("a group that cannot be bound holds up no other queue: it is told by name, and bound when that works", async () => {
    const { runtime, ...place } = open();
    let broken = true;
    const transport = wrapped(place.transport, (inner) => ({
      topics: {
        ...topicsOf(inner),
        bind: (...rest) =>
          broken
            ? Promise.reject(new TransportError("TRANSPORT_INCOMPATIBLE", "A key of another type is there"))
            : topicsOf(inner).bind(...rest),
      },
    }));
    const relay = place.relay({ ...jobs, plain: free<number>() }, { transport });
    const runs: string[] = [];
    relay.handle("order.paid", (n) => void runs.push(`paid ${n}`), { group: "a" });
    relay.handle("plain", (n) => void runs.push(`plain ${n}`));
    const told = heard(relay.events, "queue");
    const states = heard(relay.events, "connection");
    await relay.dispatch("order.paid", 1);
    await relay.dispatch("plain", 1);
    const worker = running(relay);
    await runtime.advance(60_000);
    await relay.dispatch("plain", 2);
    await runtime.advance(10);
    expect(runs).toEqual(["plain 1", "plain 2"]);
    expect(told).toMatchObject([
      { queue: "orders@a", state: "down", during: "bind", error: { code: "TRANSPORT_INCOMPATIBLE" } },
    ]);
    broken = false;
    await runtime.advance(15_000);
    expect(runs).toEqual(["plain 1", "plain 2", "paid 1"]);
    expect(told.map(({ state }) => state)).toEqual(["down", "up"]);
    expect(states).toEqual([]);
    await worker.abort();
    broken = true;
    await relay.dispatch("plain", 3);
    expect(await rejection(relay.drain())).toMatchObject({ code: "TRANSPORT_INCOMPATIBLE" });
    expect(runs.at(-1)).toBe("plain 3");
  });

  it("a group that a store forgot under a running worker is bound again within seconds, and both are told", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const runs: number[] = [];
    relay.handle("order.paid", (n) => void runs.push(n), { group: "a" });
    const told = heard(relay.events, "queue");
    const worker = running(relay);
    await runtime.advance(5_000);
    await topicsOf(place.transport).unbind("orders", "a", { deadline: 1_000 });
    await relay.dispatch("order.paid", 1);
    await runtime.advance(10_000);
    expect(runs).toEqual([1]);
    expect(await relay.groups("order.paid")).toEqual(["a"]);
    expect(told).toMatchObject([
      { queue: "orders@a", state: "down", during: "bind" },
      { queue: "orders@a", state: "up", during: "bind" },
    ]);
    await worker.abort();
  });

  it("a worker binds again what a transport may have lost while it was away", async () => {
    const { runtime, ...place } = open();
    let away = false;
    const transport = wrapped(place.transport, (inner) => ({
      reserve: (queues, options) =>
        away
          ? Promise.reject(new TransportError("TRANSPORT_UNAVAILABLE", "Cannot reach the broker"))
          : inner.reserve(queues, options),
    }));
    const relay = place.relay(jobs, { transport });
    relay.handle("order.paid", () => undefined, { group: "a" });
    const worker = running(relay, { poll: 100 });
    await runtime.advance(10);
    away = true;
    await runtime.advance(1_000);
    await relay.unbind("order.paid", "a");
    away = false;
    await runtime.advance(10_000);
    expect(await relay.groups("order.paid")).toEqual(["a"]);
    await worker.abort();
  });

  it("a worker stops although a bind never answers, and so does the relay that closes", async () => {
    const { runtime, ...place } = open();
    const transport = wrapped(place.transport, (inner) => ({
      topics: { ...topicsOf(inner), bind: () => new Promise<void>(() => undefined) },
    }));
    const relay = place.relay(jobs, { transport, callTimeout: 1_000 });
    const [one, other] = [running(relay), running(relay)];
    relay.handle("order.paid", () => undefined, { group: "a" });
    await runtime.advance(10);
    const aborted = one.abort();
    await runtime.advance(1_100);
    await aborted;
    const closed = relay.close();
    await runtime.advance(1_100);
    await closed;
    await other.done;
    expect(other.ended).toBe(true);
  });

  it("a call about groups ends with its signal, and is refused by a closed relay", async () => {
    const place = open();
    const relay = place.relay(jobs);
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    expect(await rejection(relay.bind("order.paid", "a", { signal }))).toBe(reason);
    expect(await rejection(relay.groups("order.paid", { signal }))).toBe(reason);
    expect(await relay.groups("order.paid")).toEqual([]);
    await relay.close();
    const calls = [
      relay.bind("order.paid", "a"),
      relay.unbind("order.paid", "a"),
      relay.groups("order.paid"),
    ];
    for (const call of calls) expect(await rejection(call)).toMatchObject({ code: "RELAY_CLOSED" });
  });
}
