import { expect, test } from "vitest";
import { createRelay } from "../../../mod.ts";
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

test("a job that waited for a slot until its lease was over is given back, as others may have run it", async () => {
  const place = memoryPlace();
  const ended = door();
  /** How long the process was stopped: no timer of its own fired meanwhile. */
  let stopped = 0;
  const runtime = { ...place.runtime, monotonic: () => place.runtime.monotonic() + stopped };
  const begun: number[] = [];
  const relay = createRelay({ jobs: { hello: free<number>() }, transport: place.transport, runtime });
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
  await place.runtime.advance(5_000);
  expect(begun.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, n) => n));
  expect(released.map(({ reason }) => reason)).toEqual(Array.from({ length: 9 }, () => "busy"));
  expect(stale.length).toBe(0);
  await Promise.all([work.worker.stop(), place.runtime.advance(1_000)]);
  await relay.close();
});
