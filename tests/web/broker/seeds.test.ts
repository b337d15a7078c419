/** What the seeds ask of a bare broker: F040, F044 to F046, F100, F102 to F104, F186, W10. */
import { expect, it } from "vitest";
import { exponential, fixed, fromBroker, type Receive } from "../../../mod.ts";
import { createFakeRuntime } from "../../../src/testing/mod.ts";
import { type Bare, broadcast, competing, redelivering } from "../support/bare_brokers.ts";
import { free, heard, rejection, running } from "../support/kit.ts";
import { makePlace, type Place } from "../support/place.ts";

const jobs = { job: free<unknown>(), other: { schema: free<unknown>(), queue: "other" } };

/** A place on a broker; each `connect` is another process's. */
function placeOn(broker: Bare & { readonly handlesRetries?: boolean }): Place {
  const runtime = createFakeRuntime();
  const { publish, subscribe, handlesRetries } = broker;
  return makePlace({ runtime, connect: () => fromBroker({ publish, subscribe, handlesRetries, runtime }) });
}

it("F040: a relay works unchanged on a broker of twenty lines", async () => {
  const topics = new Map<string, Receive[]>();
  const { runtime, ...place } = placeOn({
    publish(topic, body) {
      for (const receive of topics.get(topic) ?? []) void receive(body);
    },
    subscribe(topic, receive) {
      topics.set(topic, [...topics.get(topic) ?? [], receive]);
    },
  });
  const relay = place.relay(jobs);
  const seen: unknown[] = [];
  relay.handle("job", (payload, { job, attempt }) => void seen.push([payload, job.id, attempt]));
  const worker = running(relay);
  await runtime.settle();
  expect(await relay.dispatch("job", { n: 1 }, { id: "1" })).toEqual({ id: "1", status: "stored" });
  await runtime.settle();
  expect(seen).toEqual([[{ n: 1 }, "1", 1]]);
  await worker.abort();
});

it.each([
  { handlesRetries: true, maxRetry: 3, deliveries: 2, runs: 2 },
  { handlesRetries: false, maxRetry: 4, deliveries: 2, runs: 4 },
])(
  "F044: with handlesRetries $handlesRetries and maxRetry $maxRetry, a job that fails runs $runs times in $deliveries deliveries",
  async ({ handlesRetries, maxRetry, deliveries, runs }) => {
    const broker = redelivering(deliveries);
    const { runtime, ...place } = placeOn({ ...broker, handlesRetries });
    const relay = place.relay(jobs);
    const failed = heard(relay.events, "failed");
    const error = new Error("always");
    const attempts: number[] = [];
    relay.handle("job", (_, { attempt }) => {
      attempts.push(attempt);
      throw error;
    });
    const worker = running(relay, { maxRetry, backoff: fixed(10) });
    await runtime.settle();
    await relay.dispatch("job", 1);
    await runtime.advance(1_000);
    await worker.abort();
    expect(attempts).toEqual(handlesRetries ? [1, 1] : [1, 2, 3, 4]);
    expect(attempts).toHaveLength(runs);
    expect(broker.dead).toEqual(handlesRetries ? [error] : []);
    expect(failed.map(({ reason }) => reason)).toEqual(
      handlesRetries ? ["returned", "returned"] : ["exhausted"],
    );
    expect(await relay.info()).toMatchObject({ waiting: 0, delayed: 0, failed: handlesRetries ? 0 : 1 });
  },
);

it.each([[true, 1], [false, 0]])(
  "W07: with handlesRetries %s, options that it ignores are told %i time",
  async (handlesRetries, told) => {
    const { runtime, ...place } = placeOn({ ...broadcast(), handlesRetries });
    const relay = place.relay({ job: { schema: free<unknown>(), maxAttempts: 5 }, plain: free<unknown>() });
    const errors = heard(relay.events, "error");
    relay.handle("job", () => undefined);
    const worker = running(relay, { maxRetry: 3, backoff: undefined });
    await runtime.settle();
    await worker.abort();
    expect(errors).toHaveLength(told);
    if (told === 0) return;
    expect(errors[0]?.error.message).toBe(
      "The broker transport retries by itself and ignores 'maxRetry' of the worker, 'maxAttempts' of job 'job'",
    );
    await relay.drain();
    expect(errors.at(-1)?.error.message).not.toContain("maxRetry");
  },
);

it("F045, F186: a broker that broadcasts reaches every process that subscribed, and topics do not mix", async () => {
  const { runtime, ...place } = placeOn(broadcast());
  const seen: string[] = [];
  const workers = ["a", "b", "c"].map((name) => {
    const relay = place.relay(jobs, { transport: place.connect() });
    relay.handle("job", (payload) => void seen.push(`${name}: ${payload}`));
    if (name === "a") relay.handle("other", (payload) => void seen.push(`${name}, other: ${payload}`));
    return running(relay);
  });
  await runtime.settle();
  const publisher = place.relay(jobs);
  await publisher.dispatch("job", 1);
  await publisher.dispatch("other", 2);
  await runtime.settle();
  expect(seen.toSorted()).toEqual(["a, other: 2", "a: 1", "b: 1", "c: 1"]);
  for (const worker of workers) await worker.abort();
});

it("F046: of processes that compete for a queue each job reaches one, and none is left out", async () => {
  const { runtime, ...place } = placeOn(competing());
  const runs = [0, 0];
  const workers = runs.map((_, n) => {
    const relay = place.relay(jobs, { transport: place.connect() });
    relay.handle("job", () => void (runs[n] = (runs[n] ?? 0) + 1));
    return running(relay);
  });
  await runtime.settle();
  await place.relay(jobs).dispatchMany(Array.from({ length: 100 }, () => ({ name: "job", payload: 1 })));
  await runtime.settle();
  expect(runs).toEqual([50, 50]);
  for (const worker of workers) await worker.abort();
});

it.each([[["mailer", "mailer"], 100], [["mailer", "ledger"], 200]] as const)(
  "F046, W21: two relays in the groups %j run 100 jobs of a topic %i times",
  async (groups, wanted) => {
    const { runtime, ...place } = placeOn(broadcast());
    const fanned = { paid: { schema: free<number>(), topic: true } } as const;
    const runs: [string, number][] = [];
    const workers = groups.map((group, n) => {
      const relay = place.relay(fanned);
      relay.handle("paid", (payload) => void runs.push([`${group} ${n}`, payload]), { group });
      return running(relay, { concurrency: 1, prefetch: 0 });
    });
    await runtime.settle();
    const publisher = place.relay(fanned);
    await publisher.dispatchMany(Array.from({ length: 100 }, (_, n) => ({ name: "paid", payload: n })));
    await runtime.advance(1_000);
    expect(runs).toHaveLength(wanted);
    expect(new Set(runs.map(([worker]) => worker)).size).toBe(2);
    for (const group of new Set(groups)) {
      const got = runs.filter(([worker]) => worker.startsWith(group)).map(([, payload]) => payload);
      expect(got.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, n) => n));
    }
    for (const worker of workers) await worker.abort();
  },
);

/** A broker one of whose topics cannot be subscribed while it is broken, and the topics that are. */
function brittle(bad = "other") {
  const inner = broadcast();
  const live = new Set<string>();
  const broker = {
    broken: true,
    live,
    publish: inner.publish,
    async subscribe(topic: string, receive: Receive) {
      const stop = await inner.subscribe(topic, receive);
      if (broker.broken && topic === bad) throw new Error("no such topic");
      live.add(topic);
      return () => {
        live.delete(topic);
        if (typeof stop === "function") stop();
      };
    },
  };
  return broker;
}

it.each<[string, string, readonly ("job" | "other" | "news" | "alarm")[]]>([
  ["a queue", "other", ["job", "other"]],
  ["a topic", "news@", ["job", "news"]],
  ["a topic beside another", "news@", ["alarm", "news"]],
])(
  "F100: run rejects when %s cannot be subscribed in its first round, and leaves nothing subscribed; another run works",
  async (_, bad, names) => {
    const broker = brittle(bad);
    const { runtime, ...place } = placeOn(broker);
    const relay = place.relay({
      ...jobs,
      news: { schema: free<unknown>(), topic: true },
      alarm: { schema: free<unknown>(), topic: true },
    });
    const seen: unknown[] = [];
    for (const name of names) {
      const group = name === "news" || name === "alarm" ? { group: "g" } : {};
      relay.handle(name, (payload) => void seen.push(payload), group);
    }
    const failed = running(relay);
    await runtime.advance(100);
    expect(await rejection(failed.done)).toMatchObject({
      code: "TRANSPORT_UNAVAILABLE",
      cause: { message: "no such topic" },
    });
    expect([...broker.live]).toEqual([]);
    broker.broken = false;
    const worker = running(relay);
    await runtime.advance(100);
    await Promise.all(names.map((name) => relay.dispatch(name, name)));
    await runtime.advance(100);
    expect(seen.toSorted()).toEqual(names.toSorted());
    await worker.abort();
  },
);

it("F100: a subscribe that never answers in a run's first round is waited for", async () => {
  const inner = broadcast();
  let silent = true;
  const { runtime, ...place } = placeOn({
    publish: inner.publish,
    subscribe: (topic, receive) => silent ? new Promise(() => undefined) : inner.subscribe(topic, receive),
  });
  const relay = place.relay(jobs);
  const seen: unknown[] = [];
  relay.handle("job", (payload) => void seen.push(payload));
  const worker = running(relay);
  await runtime.advance(30_000);
  expect(worker.ended).toBe(false);
  silent = false;
  await runtime.advance(30_000);
  await relay.dispatch("job", 1);
  await runtime.advance(100);
  expect(seen).toEqual([1]);
  await worker.abort();
});

it("F100: a run that is stopped while a subscribe does not answer ends", async () => {
  const { runtime, ...place } = placeOn({
    publish: () => undefined,
    subscribe: () => new Promise(() => undefined),
  });
  const relay = place.relay(jobs);
  relay.handle("job", () => undefined);
  const worker = running(relay);
  await runtime.settle();
  const stopped = worker.worker.stop();
  await runtime.advance(30_000);
  await stopped;
  expect(worker.ended).toBe(true);
});

it("F100, W10: a topic that cannot be subscribed after a run's first round is reported, and waited for", async () => {
  const broker = brittle();
  const { live } = broker;
  const { runtime, ...place } = placeOn(broker);
  const relay = place.relay(jobs);
  const connection = heard(relay.events, "connection");
  const seen: unknown[] = [];
  relay.handle("job", (payload) => void seen.push(payload));
  const worker = running(relay);
  await runtime.settle();
  relay.handle("other", (payload) => void seen.push(payload));
  await runtime.settle();
  expect([...live]).toEqual(["default"]);
  expect(connection).toMatchObject([
    { state: "down", error: { code: "TRANSPORT_UNAVAILABLE", cause: { message: "no such topic" } } },
  ]);
  broker.broken = false;
  await runtime.advance(4_000);
  expect([...live].toSorted()).toEqual(["default", "other"]);
  await relay.dispatch("job", 1);
  await relay.dispatch("other", 2);
  await runtime.settle();
  expect(seen).toEqual([1, 2]);
  expect(connection.map(({ state }) => state)).toEqual(["down", "up"]);
  await worker.abort();
  await relay.transport[Symbol.asyncDispose]();
  expect([...live]).toEqual([]);
});

it("F100: a one-shot rejects with what the broker threw", async () => {
  const { publish } = broadcast();
  const cause = new Error("no such topic");
  const place = placeOn({
    publish,
    subscribe() {
      throw cause;
    },
  });
  const relay = place.relay(jobs);
  relay.handle("job", () => undefined);
  await expect(relay.drain()).rejects.toMatchObject({ code: "TRANSPORT_UNAVAILABLE", cause });
});

it("F102: jobs of a handler that was registered while the worker runs are handled", async () => {
  const { runtime, ...place } = placeOn(broadcast());
  const relay = place.relay(jobs);
  const seen: unknown[] = [];
  relay.handle("job", () => undefined);
  const worker = running(relay);
  await runtime.settle();
  relay.handle("other", (payload) => void seen.push(payload));
  await runtime.settle();
  await relay.dispatch("other", "late");
  await runtime.settle();
  expect(seen).toEqual(["late"]);
  await worker.abort();
});

it.each([[4, Infinity, 4], [1, Infinity, 1], [4, 3, 3]])(
  "F103: with maxRetry %i, a job that succeeds on run %d runs %i times",
  async (maxRetry, succeedsOn, wanted) => {
    const { runtime, ...place } = placeOn(broadcast());
    const relay = place.relay(jobs);
    let runs = 0;
    relay.handle("job", () => {
      if (++runs < succeedsOn) throw new Error("not yet");
    });
    const worker = running(relay, { maxRetry, backoff: fixed(1) });
    await runtime.settle();
    await relay.dispatch("job", 1);
    await runtime.advance(1_000);
    await worker.abort();
    expect(runs).toBe(wanted);
  },
);

it("F104: a backoff of 100 ms makes runs at 0, 100, 300 and 700 ms, and other jobs of the topic flow meanwhile", async () => {
  const { runtime, ...place } = placeOn(broadcast());
  const relay = place.relay(jobs);
  const start = runtime.monotonic();
  const at: number[] = [];
  const others: number[] = [];
  relay.handle("job", (payload) => {
    (payload === "bad" ? at : others).push(Math.round(runtime.monotonic() - start));
    if (payload === "bad") throw new Error("always");
  });
  const worker = running(relay, { concurrency: 1, maxRetry: 4, backoff: exponential(100, { jitter: 0 }) });
  await runtime.settle();
  await relay.dispatch("job", "bad");
  for (let n = 0; n < 14; n++) {
    await runtime.advance(50);
    await relay.dispatch("job", "good");
  }
  await runtime.advance(1_000);
  await worker.abort();
  expect(at).toEqual([0, 100, 300, 700]);
  expect(others).toEqual(Array.from({ length: 14 }, (_, n) => 50 * (n + 1)));
});
