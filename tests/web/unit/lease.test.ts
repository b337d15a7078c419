import { expect, test } from "vitest";
import { createRelay, type Transport } from "../../../mod.ts";
import { door, free, heard, running, wrapped } from "../support/kit.ts";
import { memoryPlace } from "../support/place.ts";

test("extensions do not pile up while the transport does not answer", async () => {
  const place = memoryPlace();
  const ended = door();
  const restored = door();
  let sent = 0;
  const transport = wrapped(place.transport, (inner) => ({
    async extend(leases, call) {
      sent += leases.length;
      await restored.opened;
      return await inner.extend(leases, call);
    },
  }));
  const relay = place.relay({ hello: free<undefined>() }, { transport, callTimeout: 60_000 });
  relay.handle("hello", () => ended.opened);
  await Promise.all([relay.dispatch("hello"), place.runtime.advance(10)]);
  const work = running(relay, { lease: 600, concurrency: 1 });
  await place.runtime.advance(30_000);
  restored.open();
  await place.runtime.settle();
  const extensions = sent;
  ended.open();
  await place.runtime.advance(10);
  const stopped = work.worker.stop();
  await place.runtime.advance(60_000);
  await stopped;
  expect(extensions).toBeLessThanOrEqual(3);
});

/** A worker whose process was stopped, no timer of its own fired meanwhile, with nine jobs fetched ahead behind a slow one. */
async function stoppedWorker(part: (inner: Transport) => Partial<Transport> = () => ({})) {
  const place = memoryPlace();
  const ended = door();
  let stopped = 0;
  const runtime = { ...place.runtime, monotonic: () => place.runtime.monotonic() + stopped };
  const begun: number[] = [];
  const transport = wrapped(place.transport, part);
  const relay = createRelay({ jobs: { hello: free<number>() }, transport, runtime });
  const stale = heard(relay.events, "stale");
  const released = heard(relay.events, "released");
  relay.handle("hello", (n) => {
    begun.push(n);
    // Enough quick ones that others are fetched ahead, then one that keeps the only slot.
    return n === 10 ? ended.opened : undefined;
  });
  const jobs = Array.from({ length: 20 }, (_, n) => ({ name: "hello" as const, payload: n }));
  await Promise.all([relay.dispatchMany(jobs), place.runtime.advance(10)]);
  const work = running(relay, { lease: 600, concurrency: 1 });
  await place.runtime.advance(10);
  expect(begun.at(-1)).toBe(10);
  stopped = 1_000;
  ended.open();
  return {
    begun,
    stale,
    released,
    advance: place.runtime.advance,
    async close(): Promise<void> {
      await Promise.all([work.worker.stop(), place.runtime.advance(1_000)]);
      await relay.close();
    },
  };
}

const ALL = Array.from({ length: 20 }, (_, n) => n);

test("jobs that waited for a slot until their leases were over are extended before they start", async () => {
  const { begun, stale, released, advance, close } = await stoppedWorker();
  await advance(5_000);
  expect(begun).toEqual(ALL);
  expect([stale, released]).toEqual([[], []]);
  await close();
});

test("jobs that other workers took over while the process was stopped are not started", async () => {
  const { begun, stale, advance, close } = await stoppedWorker(() => ({
    extend: (leases) => Promise.resolve(leases.map(() => ({ state: "stale" as const }))),
  }));
  await advance(100);
  expect(begun).toEqual(ALL.slice(0, 11));
  expect(stale.map(({ during }) => during)).toEqual(Array.from({ length: 9 }, () => "extend"));
  await close();
});

test("jobs whose leases are over, and cannot be extended, are given back", async () => {
  const { begun, released, advance, close } = await stoppedWorker(() => ({
    extend: () => Promise.reject(new Error("no way to the store")),
  }));
  await advance(5_000);
  expect(begun).toEqual(ALL);
  expect(released.map(({ reason }) => reason)).toEqual(Array.from({ length: 9 }, () => "busy"));
  await close();
});
