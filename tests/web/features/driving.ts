/** The transport by hand, as a driver of the seeds: F063 to F070, and the default one. */
import { expect, it } from "vitest";
import { createRelay, type Delivery, type Transport } from "../../../mod.ts";
import { readMeta, writeMeta } from "../../../src/jobs/record.ts";
import { bytes, free, rejection, running } from "../support/kit.ts";
import type { OpenPlace, Place } from "../support/place.ts";

const call = { deadline: 1_000 };
const LEASE = 5_000;

function driverOf(transport: Transport) {
  const held = ({ queue, token }: Delivery) => ({ queue, token });
  return {
    push: (id: string, more: { delay?: number; payload?: Uint8Array } = {}) =>
      transport.push([{ queue: "q", id, name: "job", payload: bytes("1"), meta: "", ...more }], call),
    async pop(wait = 0, lease = LEASE): Promise<Delivery | undefined> {
      const [delivery] = await transport.reserve(["q"], { ...call, limit: 1, slots: 1, lease, wait });
      return delivery;
    },
    ack: (delivery: Delivery) => transport.settle([{ ...held(delivery), to: "done" }], call),
    nack: (delivery: Delivery, delay: number) => {
      const meta = delivery.meta === "" ? { v: 1 } : readMeta(delivery.meta);
      const next = writeMeta({ ...meta, attempts: (meta.attempts ?? 0) + 1 });
      return transport.settle([{ ...held(delivery), to: "again", delay, meta: next }], call);
    },
    async length(): Promise<number> {
      const { waiting, delayed, reserved } = await transport.info("q", call);
      return waiting + delayed + reserved;
    },
  };
}

function drive(open: OpenPlace): Place & ReturnType<typeof driverOf> {
  const place = open();
  return { ...place, ...driverOf(place.transport) };
}

function popped(delivery: Delivery | undefined): Delivery {
  if (delivery === undefined) throw new Error("Nothing was popped");
  return delivery;
}

export function driving(open: OpenPlace): void {
  it("F041: a relay works on whichever transport it is given", async () => {
    const { transport, ...place } = open();
    const relay = place.relay({ job: free<number>() }, { transport });
    const seen: number[] = [];
    relay.handle("job", (payload) => seen.push(payload));
    await relay.dispatch("job", 1);
    await relay.drain();
    expect(relay.transport).toBe(transport);
    expect(seen).toEqual([1]);
  });

  it("F042: without a transport a relay keeps its jobs in memory", async () => {
    await using relay = createRelay({ jobs: { job: free<number>() } });
    const seen: number[] = [];
    relay.handle("job", (payload) => seen.push(payload));
    await relay.dispatch("job", 1);
    await relay.drain();
    expect(relay.transport.name).toBe("memory");
    expect(seen).toEqual([1]);
  });

  it("F047, W01, W11, W16, W27: what was dispatched before any worker runs when one comes", async () => {
    const { runtime, ...place } = open();
    const producer = place.relay({ job: free<number>() }, { transport: place.connect() });
    for (let i = 0; i < 100; i++) await producer.dispatch("job", i);
    const consumer = place.relay({ job: free<number>() });
    const seen: number[] = [];
    consumer.handle("job", (payload) => seen.push(payload));
    const worker = running(consumer);
    await runtime.settle();
    await worker.abort();
    expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });

  it("F063: push stores, pop hands over, ack removes, nack hides, and the length counts all", async () => {
    const { runtime, push, pop, ack, nack, length } = drive(open);
    expect(await push("a")).toEqual(["stored"]);
    await push("b", { delay: 100 });
    expect(await length()).toBe(2);
    const a = popped(await pop());
    expect(a.id).toBe("a");
    expect(await pop()).toBeUndefined();
    expect(await length()).toBe(2);
    expect(await nack(a, 50)).toEqual(["settled"]);
    expect(await pop()).toBeUndefined();
    await runtime.advance(50);
    const again = popped(await pop());
    expect(again.id).toBe("a");
    expect(readMeta(again.meta).attempts).toBe(1);
    expect(await ack(again)).toEqual(["settled"]);
    expect(await length()).toBe(1);
    await runtime.advance(50);
    expect(await ack(popped(await pop()))).toEqual(["settled"]);
    expect(await length()).toBe(0);
  });

  it("F064: a pop of an empty queue says so when its wait is over, and does not throw", async () => {
    const { runtime, transport } = drive(open);
    const start = runtime.monotonic();
    let after: number | undefined;
    const asked = transport.reserve(["q"], { ...call, limit: 1, slots: 1, lease: LEASE, wait: 50 })
      .finally(() => after = runtime.monotonic() - start);
    await runtime.advance(50);
    expect(await asked).toEqual([]);
    expect(after).toBe(50);
  });

  it("F065: a waiting pop wakes for a push", async () => {
    const { runtime, push, pop } = drive(open);
    const asked = pop(1_000);
    await runtime.advance(100);
    await push("a");
    await runtime.settle();
    expect(popped(await asked).id).toBe("a");
  });

  it("F065: a waiting pop that is aborted rejects with the reason", async () => {
    const { runtime, transport, push, pop } = drive(open);
    const controller = new AbortController();
    const asks = { ...call, limit: 1, slots: 1, lease: LEASE, wait: 1_000, signal: controller.signal };
    const asked = rejection(transport.reserve(["q"], asks));
    await runtime.advance(10);
    const reason = new Error("enough");
    controller.abort(reason);
    expect(await asked).toBe(reason);
    await push("a");
    expect(popped(await pop()).id).toBe("a");
  });

  it("F066: what was acked is gone for good", async () => {
    const { runtime, push, pop, ack, length } = drive(open);
    await push("a");
    await ack(popped(await pop()));
    expect(await length()).toBe(0);
    await runtime.advance(2 * LEASE);
    expect(await pop()).toBeUndefined();
  });

  it("F067: a nack counts an attempt and hides the job for as long as it says", async () => {
    const { runtime, push, pop, nack } = drive(open);
    await push("a");
    await nack(popped(await pop()), 0);
    const second = popped(await pop());
    expect([second.id, readMeta(second.meta).attempts]).toEqual(["a", 1]);
    await nack(second, 100);
    await runtime.advance(99);
    expect(await pop()).toBeUndefined();
    await runtime.advance(1);
    expect(readMeta(popped(await pop()).meta).attempts).toBe(2);
  });

  it("F068: the length is 100 after 100 dispatches at once, and 0 after 100 acks", async () => {
    const { transport, relay: relayOn, ack, length } = drive(open);
    const relay = relayOn({ job: { schema: free<number>(), queue: "q" } });
    await Promise.all(Array.from({ length: 100 }, (_, i) => relay.dispatch("job", i)));
    expect(await length()).toBe(100);
    const asks = { ...call, limit: 100, slots: 100, lease: LEASE, wait: 0 };
    const deliveries = await transport.reserve(["q"], asks);
    expect(await length()).toBe(100);
    await Promise.all(deliveries.map(ack));
    expect(await length()).toBe(0);
  });

  it("F069: jobs come in the order of their pushes", async () => {
    const { push, pop } = drive(open);
    for (const id of ["1", "2", "3"]) await push(id);
    expect([await pop(), await pop(), await pop()].map((each) => each?.id)).toEqual(["1", "2", "3"]);
  });

  it("F069, W39, W53: delayed jobs come in the order of their due times", async () => {
    const { runtime, push, pop } = drive(open);
    await push("late", { delay: 200 });
    await push("early", { delay: 100 });
    await push("late too", { delay: 200 });
    await runtime.advance(300);
    const ids = [await pop(), await pop(), await pop()].map((each) => each?.id);
    expect(ids).toEqual(["early", "late", "late too"]);
  });

  it("F070, W38: what was popped and never acked is delivered again after its lease", async () => {
    const { runtime, push, pop, length } = drive(open);
    await push("a");
    const first = popped(await pop());
    await runtime.advance(LEASE - 1);
    expect(await pop()).toBeUndefined();
    await runtime.advance(1);
    const second = popped(await pop());
    expect(second).toMatchObject({ id: "a", lost: 1 });
    expect(second.token).not.toBe(first.token);
    expect(await length()).toBe(1);
  });

  it("W31: a late ack of a lost lease is stale, and the new holder's job is untouched", async () => {
    const { runtime, push, pop, ack, nack, transport } = drive(open);
    await push("a");
    const first = popped(await pop());
    await runtime.advance(LEASE);
    const second = popped(await pop());
    expect(await ack(first)).toEqual(["stale"]);
    expect(await nack(first, 0)).toEqual(["stale"]);
    expect(await transport.info("q", call)).toMatchObject({ waiting: 0, delayed: 0, reserved: 1 });
    expect(await ack(second)).toEqual(["settled"]);
  });

  it("W64: two identical delayed payloads stay two jobs, and what changes meanwhile does not matter", async () => {
    const { runtime, push, pop, ack, length } = drive(open);
    const payload = bytes({ same: true });
    await push("a", { delay: 100, payload });
    await push("b", { delay: 100, payload });
    await runtime.advance(100);
    const [first, second] = [popped(await pop()), popped(await pop())];
    expect([first.id, second.id]).toEqual(["a", "b"]);
    expect([...await ack(first), ...await ack(second)]).toEqual(["settled", "settled"]);
    expect(await length()).toBe(0);
  });
}
