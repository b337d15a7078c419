/** Accidents with leases, shutdowns and attempts that others had. */
import { expect, it } from "vitest";
import { after, complete, type Delivery, fixed, reschedule } from "../../../mod.ts";
import { bytes, door, free, heard, running } from "../support/kit.ts";
import type { OpenPlace, Place } from "../support/place.ts";

const call = { deadline: 10_000 };
const jobs = { job: free<string>() };
const EMPTY = { waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0 };

async function pushed({ transport }: Place, count: number): Promise<void> {
  const entries = Array.from({ length: count }, (_, i) => (
    { queue: "default", id: `${i}`, name: "job", payload: bytes('"x"'), meta: "" }
  ));
  expect(new Set(await transport.push(entries, call))).toEqual(new Set(["stored"]));
}

function reserved({ transport }: Place, limit: number, lease: number): Promise<readonly Delivery[]> {
  return transport.reserve(["default"], { ...call, limit, slots: limit, lease, wait: 0 });
}

export function leases(open: OpenPlace): void {
  it("a rescue does not overwrite a job that finished in between", async () => {
    const place = open();
    await pushed(place, 2);
    const [early, late] = await reserved(place, 2, 1_000);
    const settle = async (delivery: Delivery | undefined) =>
      await place.transport.settle(
        [{ queue: "default", token: delivery?.token ?? "", to: "done" }],
        call,
      );
    expect(await settle(early)).toEqual(["settled"]);
    await place.runtime.advance(1_000);
    const answers = await settle(late);
    const again = await reserved(place, 2, 1_000);
    // Late, but before anybody else had it: either it is done, or it is not and comes back; never both.
    expect(again.map(({ id }) => id)).toEqual(answers[0] === "settled" ? [] : [late?.id]);
  });

  it("a page full of busy entries hides no dead ones behind it", async () => {
    const place = open();
    await pushed(place, 1_210);
    const dead = await reserved(place, 10, 1_000);
    expect(await reserved(place, 1_200, 60_000)).toHaveLength(1_200);
    await place.runtime.advance(1_000);
    const rescued = await reserved(place, 1_000, 1_000);
    expect(rescued.map(({ id }) => id).toSorted()).toEqual(dead.map(({ id }) => id).toSorted());
  });

  it("a page full of dead entries hides no waiting ones behind it from a worker without free slots", async () => {
    const place = open();
    await pushed(place, 1_200);
    await reserved(place, 1_200, 1_000);
    await place.runtime.advance(1_000);
    await place.transport.push(
      [{ queue: "default", id: "fresh", name: "job", payload: bytes("1"), meta: "" }],
      call,
    );
    const options = { ...call, limit: 5, slots: 0, lease: 1_000, wait: 0 };
    expect((await place.transport.reserve(["default"], options)).map(({ id }) => id)).toEqual(["fresh"]);
  });

  it("a job without a timeout is rescued too", async () => {
    const place = open();
    const relay = place.relay(jobs);
    const seen: [string, number][] = [];
    relay.handle("job", (payload, { attempt }) => seen.push([payload, attempt]));
    await relay.dispatch("job", "x");
    expect(await reserved(place, 1, 30_000)).toHaveLength(1);
    const worker = running(relay);
    await place.runtime.advance(31_000);
    await worker.abort();
    expect(seen).toEqual([["x", 1]]);
  });

  it("a shutdown burns no attempt: a job with one attempt that is cut off runs again", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay({ job: { schema: free<string>(), maxAttempts: 1 } });
    const released = heard(relay.events, "released");
    const attempts: number[] = [];
    relay.handle("job", async (_, { attempt, signal }) => {
      attempts.push(attempt);
      if (attempts.length === 1) await runtime.sleep(60_000, signal);
    });
    await relay.dispatch("job", "x");
    const worker = running(relay);
    await runtime.advance(100);
    await worker.abort();
    expect(released).toMatchObject([{ reason: "stop", attempt: 1 }]);
    expect(await relay.info()).toEqual({ ...EMPTY, waiting: 1, oldest: expect.any(Number) });
    await relay.drain();
    expect(attempts).toEqual([1, 1]);
    expect(await relay.info()).toEqual(EMPTY);
  });

  it("two workers of one process do not run the same job at a shutdown", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const runs: string[] = [];
    const finish = door();
    relay.handle("job", async (payload) => {
      runs.push(payload);
      await finish.opened;
    });
    const first = running(relay, { concurrency: 1, lease: 1_000 });
    const second = running(relay, { concurrency: 1, lease: 1_000 });
    await relay.dispatch("job", "a");
    await runtime.settle();
    await relay.dispatch("job", "b");
    await runtime.settle();
    const ended = first.abort();
    // Far longer than the lease, within the grace: its handler is at work, so that its job is nobody else's.
    await runtime.advance(20_000);
    finish.open();
    await ended;
    await runtime.advance(5_000);
    await second.abort();
    expect(runs).toEqual(["a", "b"]);
    expect(await relay.info()).toEqual(EMPTY);
  });

  it("a delay that is longer than the lease makes one run", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    let runs = 0;
    relay.handle("job", (_, { attempt }) => {
      runs++;
      if (attempt === 1) throw new Error("once");
    });
    await relay.dispatch("job", "x", { delay: 20_000, backoff: fixed(20_000, { jitter: 0 }) });
    const workers = [1, 2].map(() => running(relay, { lease: 1_000, poll: 30_000 }));
    await runtime.advance(19_999);
    expect(runs).toBe(0);
    await runtime.advance(20_000);
    expect(runs).toBe(1);
    await runtime.advance(20_000);
    for (const worker of workers) await worker.abort();
    expect(runs).toBe(2);
  });

  it("delayed jobs run after a restart", async () => {
    const place = open();
    const before = place.relay(jobs, { transport: place.connect() });
    await before.dispatch("job", "later", { delay: 60_000 });
    await before.dispatch("job", "overdue", { delay: 10 });
    await before.close();
    await place.runtime.advance(1_000);
    const relay = place.relay(jobs, { transport: place.connect() });
    const seen: string[] = [];
    relay.handle("job", (payload) => seen.push(payload));
    const worker = running(relay);
    await place.runtime.settle();
    expect(seen).toEqual(["overdue"]);
    await place.runtime.advance(60_000);
    await worker.abort();
    expect(seen).toEqual(["overdue", "later"]);
  });

  it("a snooze counts as no attempt, however often it is asked for", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay({ job: { schema: free<string>(), maxAttempts: 1 } });
    const attempts: number[] = [];
    relay.handle("job", (_, { attempt }) => {
      attempts.push(attempt);
      return attempts.length < 20 ? reschedule(after(1_000)) : complete();
    });
    await relay.dispatch("job", "x");
    const worker = running(relay);
    await runtime.advance(60_000);
    await worker.abort();
    expect(attempts).toEqual(Array.from({ length: 20 }, () => 1));
    expect(await relay.info()).toEqual(EMPTY);
  });

  it("taking a handler back drops nothing that its worker holds", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const seen: string[] = [];
    const finish = door();
    const handler = relay.handle("job", async (payload) => {
      seen.push(payload);
      await finish.opened;
    });
    for (let i = 0; i < 5; i++) await relay.dispatch("job", `${i}`);
    const worker = running(relay, { concurrency: 2 });
    await runtime.settle();
    handler[Symbol.dispose]();
    finish.open();
    await runtime.settle();
    await worker.abort();
    relay.handle("job", (payload) => seen.push(payload));
    await runtime.advance(60_000);
    await relay.drain();
    expect(seen.toSorted()).toEqual(["0", "1", "2", "3", "4"]);
  });

  it("W04: an exhausted job stays nowhere but among the dead, and a finished one nowhere at all", async () => {
    const { transport, ...place } = open();
    const relay = place.relay(jobs);
    relay.handle("job", (payload) => {
      if (payload === "bad") throw new Error("always");
    });
    await relay.dispatchMany(Array.from({ length: 1_000 }, () => ({ name: "job", payload: "good" })));
    await relay.dispatch("job", "bad", { id: "bad", maxAttempts: 1 });
    await relay.drain();
    expect(await relay.info()).toEqual({ ...EMPTY, failed: 1 });
    await relay.remove("default", "failed", "all");
    for (const channel of ["waiting", "delayed", "reserved", "failed", "timeout"] as const) {
      expect((await relay.list("default", channel)).jobs).toEqual([]);
    }
    expect(await transport.get("default", ["bad"], call)).toEqual([undefined]);
  });
}
