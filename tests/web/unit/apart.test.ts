/** One queue in trouble costs the others nothing. */
import { expect, test } from "vitest";
import { type Relay, TransportError } from "../../../mod.ts";
import { memory } from "../../../src/transports/memory/mod.ts";
import { createFakeRuntime, type FakeRuntime } from "../../../src/testing/mod.ts";
import { free, heard, rejection, running, wrapped } from "../support/kit.ts";
import { makePlace } from "../support/place.ts";

const jobs = {
  a: { schema: free<number>(), queue: "a" },
  b: { schema: free<number>(), queue: "b" },
  c: { schema: free<number>(), queue: "c" },
};
type Fault = (queue: string, queues: readonly string[]) => Promise<never> | undefined;

interface Scene {
  readonly runtime: FakeRuntime;
  readonly relay: Relay<typeof jobs>;
  readonly ran: string[];
  readonly asked: { readonly at: number; readonly queues: readonly string[] }[];
  fault: Fault | undefined;
}

const wrongKey = (): Promise<never> =>
  Promise.reject(new TransportError("TRANSPORT_INCOMPATIBLE", "A key of another type is there"));

/** A relay of three queues, of which `fault` says which cannot be reserved from. */
function scene(): Scene {
  const runtime = createFakeRuntime();
  const inner = memory({ runtime });
  const place = makePlace({ runtime, connect: () => inner });
  const transport = wrapped(inner, () => ({
    reserve(queues, options) {
      made.asked.push({ at: runtime.now(), queues });
      for (const queue of queues) {
        const failed = made.fault?.(queue, queues);
        if (failed !== undefined) return failed;
      }
      return inner.reserve(queues, options);
    },
  }));
  const made: Scene = {
    runtime,
    relay: place.relay(jobs, { transport }),
    ran: [],
    asked: [],
    fault: undefined,
  };
  for (const name of ["a", "b", "c"] as const) {
    made.relay.handle(name, (n) => void made.ran.push(`${name}${n}`));
  }
  return made;
}

test("a queue that cannot be reserved from is told by name once, and costs the others nothing", async () => {
  const made = scene();
  const { runtime, relay, ran } = made;
  made.fault = (queue) => queue === "b" ? wrongKey() : undefined;
  const told = heard(relay.events, "queue");
  await relay.dispatch("b", 0);
  const worker = running(relay);
  await runtime.advance(1_000);
  for (let n = 1; n <= 100; n++) {
    await relay.dispatch("a", n);
    await relay.dispatch("c", n);
    await runtime.advance(1);
  }
  expect(ran).toHaveLength(200);
  expect(told).toMatchObject([
    { queue: "b", state: "down", during: "reserve", error: { code: "TRANSPORT_INCOMPATIBLE" } },
  ]);
  made.fault = undefined;
  await runtime.advance(15_000);
  expect(ran.at(-1)).toBe("b0");
  expect(told.map(({ queue, state }) => [queue, state])).toEqual([["b", "down"], ["b", "up"]]);
  await relay.dispatch("b", 1);
  await runtime.advance(1);
  expect(ran.at(-1)).toBe("b1");
  await worker.abort();
});

test("a queue in trouble is tried after pauses that grow, by itself", async () => {
  const made = scene();
  const { runtime, relay, asked } = made;
  made.fault = (queue) => queue === "b" ? wrongKey() : undefined;
  const worker = running(relay, { poll: 60_000 });
  await runtime.advance(300_000);
  const tried = asked.filter(({ queues }) => queues.length === 1 && queues[0] === "b").map(({ at }) => at);
  const pauses = tried.slice(1).map((at, n) => at - (tried[n] ?? 0));
  expect(pauses.length).toBeGreaterThan(10);
  expect(pauses.length).toBeLessThan(60);
  expect(Math.max(...pauses)).toBeLessThanOrEqual(15_000);
  expect(Math.max(...pauses)).toBeGreaterThan(10 * Math.min(...pauses));
  await worker.abort();
});

test("a queue that never answers holds up the others for no longer than it takes to find out", async () => {
  const made = scene();
  const { runtime, relay, ran } = made;
  made.fault = (queue) => queue === "b" ? new Promise(() => undefined) : undefined;
  const worker = running(relay);
  await runtime.advance(60_000);
  await relay.dispatch("a", 1);
  await runtime.advance(10);
  expect(ran).toEqual(["a1"]);
  const stopped = worker.abort();
  await runtime.advance(30_000);
  await stopped;
  expect(worker.ended).toBe(true);
});

test("where no queue works it is the transport that is away, told as such", async () => {
  const made = scene();
  const { runtime, relay, ran } = made;
  const away = (): Promise<never> =>
    Promise.reject(new TransportError("TRANSPORT_UNAVAILABLE", "Cannot reach the broker"));
  made.fault = away;
  const told = heard(relay.events, "queue");
  const states = heard(relay.events, "connection");
  const worker = running(relay);
  await runtime.advance(60_000);
  made.fault = undefined;
  await relay.dispatch("a", 1);
  await runtime.advance(4_000);
  expect(ran).toEqual(["a1"]);
  expect(told).toEqual([]);
  expect(states.map(({ state }) => state)).toEqual(["down", "up"]);
  await worker.abort();
});

test("a drain does what the other queues have, and rejects with what keeps one from working", async () => {
  const made = scene();
  const { relay, ran } = made;
  made.fault = (queue) => queue === "b" ? wrongKey() : undefined;
  for (const name of ["a", "b", "c"] as const) await relay.dispatch(name, 1);
  expect(await rejection(relay.drain())).toMatchObject({ code: "TRANSPORT_INCOMPATIBLE" });
  expect(ran.toSorted()).toEqual(["a1", "c1"]);
});

test("queues that work alone and not together are told as a fault of the reserve, and asked after pauses", async () => {
  const made = scene();
  const { runtime, relay, asked, ran } = made;
  made.fault = (_, queues) => queues.length > 1 ? wrongKey() : undefined;
  const told = heard(relay.events, "connection");
  const worker = running(relay);
  await runtime.advance(60_000);
  expect(told).toMatchObject([{ state: "down", error: { code: "TRANSPORT_INCOMPATIBLE" } }]);
  expect(asked.length).toBeLessThan(120);
  made.fault = undefined;
  await relay.dispatch("a", 1);
  await runtime.advance(30_000);
  expect(ran).toEqual(["a1"]);
  await worker.abort();
});

test("a drain of queues that work alone and not together rejects", async () => {
  const made = scene();
  const { relay, asked } = made;
  made.fault = (_, queues) => queues.length > 1 ? wrongKey() : undefined;
  expect(await rejection(relay.drain())).toMatchObject({ code: "TRANSPORT_INCOMPATIBLE" });
  expect(asked.length).toBeLessThan(30);
});
