/** Handlers that end their own worker or relay, in runtimes that can tell and in those that cannot. */
import { expect, test } from "vitest";
import type { Relay, Runtime } from "../../../mod.ts";
import { asyncStore } from "../../../src/runtime.ts";
import { door, free, heard, running } from "../support/kit.ts";
import { withoutAsyncStore } from "../support/async_store.ts";
import { memoryPlace, type Place } from "../support/place.ts";

const jobs = { job: free<number>() };
type Jobs = typeof jobs;

/** Ways in which a handler may end what runs it. */
const WAYS: readonly (readonly [
  way: string,
  end: (relay: Relay<Jobs>, stop: () => Promise<void>, runtime: Runtime) => Promise<void>,
])[] = [
  ["closes its relay", (relay) => relay.close()],
  ["closes its relay with a grace", (relay) => relay.close({ grace: 60_000 })],
  ["disposes of its relay", (relay) => Promise.resolve(relay[Symbol.asyncDispose]())],
  ["stops its worker", (_, stop) => stop()],
  [
    "closes its relay twice at once",
    async (relay) => void await Promise.all([relay.close(), relay.close()]),
  ],
  ["stops its worker, and then closes its relay", async (relay, stop) => {
    await stop();
    await relay.close();
  }],
  ["closes its relay after a while", async (relay, _, runtime) => {
    await runtime.sleep(50);
    await relay.close();
  }],
];

async function settles(place: Place, promise: Promise<unknown>, ms = 1_000): Promise<boolean> {
  let over = false;
  const end = (): void => void (over = true);
  promise.then(end, end);
  await place.runtime.advance(ms);
  return over;
}

const canTell = asyncStore() !== undefined;

test.runIf(canTell).each(WAYS)(
  "a handler that %s does not wait for itself: it goes on, is settled once, and then the transport closes",
  async (_, end) => {
    const place = memoryPlace();
    let open = true;
    const transport = {
      ...place.transport,
      [Symbol.asyncDispose]: () => {
        order.push("closed");
        open = false;
        return Promise.resolve();
      },
    };
    const order: string[] = [];
    const relay = place.relay(jobs, { transport });
    relay.handle("job", async () => {
      order.push("begun");
      await end(relay, () => work.worker.stop(), place.runtime);
      order.push("ended");
      expect(open).toBe(true);
    });
    relay.events.addEventListener("completed", () => order.push("completed"));
    const lost = [
      heard(relay.events, "stale"),
      heard(relay.events, "released"),
      heard(relay.events, "stuck"),
    ];
    await relay.dispatch("job", 1);
    const work = running(relay);
    expect(await settles(place, work.done)).toBe(true);
    const closed = relay.close();
    expect(await settles(place, closed)).toBe(true);
    expect(order).toEqual(["begun", "ended", "completed", "closed"]);
    expect(lost.flat()).toEqual([]);
    expect(await place.transport.info("default", { deadline: 1_000 })).toMatchObject({
      waiting: 0,
      reserved: 0,
      failed: 0,
    });
  },
);

test.runIf(canTell)(
  "a handler that closes its relay waits for the other runs, and for their settlements",
  async () => {
    const place = memoryPlace();
    const other = door();
    const relay = place.relay(jobs);
    const order: string[] = [];
    relay.handle("job", async (n) => {
      if (n === 1) {
        await other.opened;
        order.push("the other ends");
        return;
      }
      await relay.close();
      order.push("close has resolved");
    });
    relay.events.addEventListener("completed", ({ detail }) => order.push(`completed ${detail.job.id}`));
    await relay.dispatchMany([{ name: "job", payload: 1, id: "other" }, {
      name: "job",
      payload: 2,
      id: "closer",
    }]);
    const work = running(relay);
    await place.runtime.advance(60_000);
    expect(order).toEqual([]);
    other.open();
    expect(await settles(place, work.done)).toBe(true);
    expect(order).toEqual(["the other ends", "completed other", "close has resolved", "completed closer"]);
  },
);

test.runIf(canTell)("two handlers that close their relay at once do not wait for each other", async () => {
  const place = memoryPlace();
  const relay = place.relay(jobs);
  const completed = heard(relay.events, "completed");
  const both = door();
  relay.handle("job", async (n) => {
    if (n === 2) both.open();
    await both.opened;
    await relay.close();
  });
  await relay.dispatchMany([1, 2].map((payload) => ({ name: "job" as const, payload })));
  const work = running(relay);
  expect(await settles(place, work.done)).toBe(true);
  expect(completed.length).toBe(2);
});

test.runIf(canTell)("handlers of two relays that close each other's do not wait for each other", async () => {
  const place = memoryPlace();
  const other = memoryPlace();
  const [one, two] = [place.relay(jobs), other.relay(jobs)];
  const completed = [heard(one.events, "completed"), heard(two.events, "completed")];
  const begun = door();
  one.handle("job", async () => {
    await begun.opened;
    await two.close();
  });
  two.handle("job", async () => {
    begun.open();
    await one.close();
  });
  await one.dispatch("job", 1);
  await two.dispatch("job", 1);
  const works = [running(one), running(two)];
  for (let n = 0; n < 10; n++) {
    await place.runtime.advance(1_000);
    await other.runtime.advance(1_000);
  }
  expect(works.map(({ ended }) => ended)).toEqual([true, true]);
  expect(completed.map(({ length }) => length)).toEqual([1, 1]);
});

test.runIf(canTell)("a handler may close its relay from within a job that it drains itself", async () => {
  const place = memoryPlace();
  const relay = place.relay({
    outer: { schema: free<number>(), queue: "a" },
    inner: { schema: free<number>(), queue: "b" },
  });
  const completed = heard(relay.events, "completed");
  relay.handle("outer", async () => {
    await relay.drain({ queues: ["b"] });
  });
  relay.handle("inner", () => relay.close());
  await relay.dispatch("inner", 1);
  await relay.dispatch("outer", 1);
  const work = running(relay, { queues: ["a"] });
  expect(await settles(place, work.done)).toBe(true);
  expect(completed.map(({ job }) => job.name)).toEqual(["inner", "outer"]);
});

test.runIf(canTell).each(["started", "completed"] as const)(
  "a listener of '%s' may close the relay",
  async (type) => {
    const place = memoryPlace();
    const relay = place.relay(jobs);
    relay.handle("job", () => undefined);
    const closed = door();
    relay.events.addEventListener(type, async () => {
      await relay.close();
      closed.open();
    });
    await relay.dispatch("job", 1);
    const work = running(relay);
    expect(await settles(place, Promise.all([work.done, closed.opened]))).toBe(true);
  },
);

test.runIf(canTell).each(["the worker is told to end", "the job's timeout is over"] as const)(
  "a listener of a handler's signal may close the relay when %s",
  async (why) => {
    const place = memoryPlace();
    const relay = place.relay(jobs);
    const lost = [heard(relay.events, "released"), heard(relay.events, "stuck")];
    const begun = door();
    const closed = door();
    relay.handle("job", async (_, { signal }) => {
      signal.addEventListener("abort", async () => {
        await relay.close();
        closed.open();
      });
      begun.open();
      await closed.opened;
    });
    await relay.dispatch("job", 1, { timeout: 60_000 });
    const work = running(relay);
    await Promise.all([begun.opened, place.runtime.advance(100)]);
    if (why === "the worker is told to end") void work.abort();
    else await place.runtime.advance(60_000);
    expect(await settles(place, work.done)).toBe(true);
    expect(lost.flat()).toEqual([]);
  },
);

test.runIf(canTell)("what a handler left behind waits for all runs, as any other caller does", async () => {
  const place = memoryPlace();
  const relay = place.relay(jobs);
  const [left, slow] = [door(), door()];
  let closing: Promise<void> | undefined;
  relay.handle("job", async (n) => {
    if (n === 2) return await slow.opened;
    closing = left.opened.then(() => relay.close());
  });
  await relay.dispatchMany([1, 2].map((payload) => ({ name: "job" as const, payload })));
  const work = running(relay);
  await place.runtime.advance(100);
  left.open();
  expect(await settles(place, closing ?? Promise.resolve())).toBe(false);
  slow.open();
  expect(await settles(place, Promise.all([closing, work.done]))).toBe(true);
});

test.each(WAYS.filter(([way]) => !way.includes("grace")).slice(0, 4))(
  "where nothing tells what follows from what, a handler that %s goes on after the worker's grace, told as stuck, and its job is done once",
  async (_, end) => {
    withoutAsyncStore();
    const place = memoryPlace();
    const relay = place.relay(jobs);
    const stuck = heard(relay.events, "stuck");
    const completed = heard(relay.events, "completed");
    const lost = [heard(relay.events, "stale"), heard(relay.events, "released")];
    const start = place.runtime.monotonic();
    let ended = 0;
    relay.handle("job", async () => {
      await end(relay, () => work.worker.stop(), place.runtime);
      ended = place.runtime.monotonic();
    });
    await relay.dispatch("job", 1);
    const work = running(relay, { grace: 5_000 });
    expect(await settles(place, work.done, 10_000)).toBe(true);
    expect(ended - start).toBeGreaterThanOrEqual(5_000);
    expect(ended - start).toBeLessThan(5_100);
    expect(stuck.map(({ reason }) => reason)).toContain("close");
    expect(completed.length).toBe(1);
    expect(lost.flat()).toEqual([]);
  },
);
