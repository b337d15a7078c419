/** What a server has forgotten: message ids after its window, and deliveries of its last moment when it was killed. */
import { expect, test } from "vitest";
import type { Delivery } from "../../../src/exchange.ts";
import { job } from "../../../src/testing/conformance/lab.ts";
import type { Transport } from "../../../src/transport.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { type NatsServer, startNats } from "../support/servers/nats.ts";
import type { RawNats } from "../support/servers/nats_client.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { type Cutting, cutting, makeStream, sleepyRuntime } from "./support.ts";

const CALL = { deadline: 10_000 };
const ACK_WAIT = 500;
const LEASE = 60_000;
/** Milliseconds for which the streams of these tests remember message ids: ten leases, the least that is accepted. */
const WINDOW = 5_000;
const QUEUE = "work";

interface Ground extends AsyncDisposable {
  readonly server: NatsServer;
  readonly prefix: string;
  readonly dying: Cutting;
  readonly next: Transport;
}

/** A process that may die and another, on streams that an operator made with a short memory. */
async function groundOn(server: NatsServer, ...queues: readonly string[]): Promise<Ground> {
  const prefix = `old-${crypto.randomUUID()}`;
  for (const queue of queues) {
    await makeStream(server, prefix, queue, { duplicate_window: WINDOW * 1_000_000 });
  }
  const dying = await cutting(server.url, prefix, ACK_WAIT);
  const next = nats({ servers: server.url, prefix, ackWait: ACK_WAIT });
  return { server, prefix, dying, next, [Symbol.asyncDispose]: () => next[Symbol.asyncDispose]() };
}

async function take(transport: Transport, queue = QUEUE, wait = 0): Promise<readonly Delivery[]> {
  return await transport.reserve([queue], { limit: 10, slots: 10, lease: LEASE, wait, ...CALL });
}

/** Nobody is there for so long that the server forgets. */
function forget(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, WINDOW + 500));
}

/** All that comes within some leases. */
async function allOf(transport: Transport, queue = QUEUE): Promise<readonly Delivery[]> {
  const found: Delivery[] = [];
  for (const end = performance.now() + 6 * ACK_WAIT; performance.now() < end;) {
    found.push(...await take(transport, queue, ACK_WAIT / 3));
  }
  return found;
}

describeOn(["nats"], `What a server of NATS has forgotten`, () => {
  const start = owned(() => startNats());

  test.concurrent("a job that was moved and not acknowledged before that is one still", async () => {
    await using ground = await groundOn(await start(), QUEUE);
    const { dying, next } = ground;
    await dying.transport.push([job({ id: "1", queue: QUEUE })], CALL);
    const [held] = await take(dying.transport);
    if (held === undefined) throw new Error("Wanted a delivery");
    const { queue, token } = held;
    await dying.cut(() => dying.transport.settle([{ queue, token, to: "again", meta: "next" }], CALL));
    await forget();
    expect((await allOf(next)).map(({ id, meta, lost }) => [id, meta, lost])).toEqual([["1", "next", 0]]);
  }, 30_000);

  test.concurrent("a job that was buried and not acknowledged before that runs no more", async () => {
    await using ground = await groundOn(await start(), QUEUE);
    const { dying, next } = ground;
    await dying.transport.push([job({ id: "1", queue: QUEUE })], CALL);
    const [held] = await take(dying.transport);
    if (held === undefined) throw new Error("Wanted a delivery");
    const { queue, token } = held;
    await dying.cut(() =>
      dying.transport.settle([{ queue, token, to: "failed", meta: "next", reason: "r" }], CALL)
    );
    await forget();
    expect(await allOf(next)).toEqual([]);
    expect(await next.info(QUEUE, CALL)).toMatchObject({ waiting: 0, delayed: 0, reserved: 0, failed: 1 });
  }, 30_000);

  test.concurrent("a due job that was moved and not acknowledged before that is one still", async () => {
    await using ground = await groundOn(await start(), QUEUE);
    const { dying, next } = ground;
    await dying.transport.push([job({ id: "1", queue: QUEUE, delay: 100 })], CALL);
    await new Promise((resolve) => setTimeout(resolve, 150));
    // Counting moves what is due.
    await dying.cut(() => dying.transport.info(QUEUE, CALL));
    await forget();
    expect((await allOf(next)).map(({ id }) => id)).toEqual(["1"]);
  }, 30_000);

  test.concurrent("a job that was reloaded and is still among the dead is one still", async () => {
    await using ground = await groundOn(await start(), QUEUE);
    const { server, dying, next, prefix } = ground;
    await next.push([job({ id: "1", queue: QUEUE })], CALL);
    const [held] = await take(next);
    if (held === undefined) throw new Error("Wanted a delivery");
    const { queue, token } = held;
    await next.settle([{ queue, token, to: "failed", meta: "m", reason: "r" }], CALL);
    const call = { ...CALL, reset: false };
    await dying.cut(
      () => dying.transport.reload(QUEUE, "failed", "all", call),
      (subject) => subject.includes("STREAM.PURGE"),
    );
    await forget();
    const runtime = sleepyRuntime();
    await using operator = nats({ servers: server.url, prefix, ackWait: ACK_WAIT, runtime });
    expect(await operator.info(QUEUE, CALL)).toMatchObject({ waiting: 1, failed: 1 });
    // So long the process that died would have had for it.
    runtime.sleepThrough(20_000);
    expect(await operator.reload(QUEUE, "failed", "all", call)).toEqual({ reloaded: 0, taken: 0 });
    expect(await operator.info(QUEUE, CALL)).toMatchObject({ waiting: 1, reserved: 0, failed: 0 });
  }, 30_000);

  test.concurrent(
    "a topic's job that was copied and not taken out before that comes to the group once",
    async () => {
      await using ground = await groundOn(await start(), QUEUE);
      const { server, dying, next, prefix } = ground;
      await using raw = await server.raw();
      // The group's queue, which remembers for a short time.
      const group = `${prefix}_work_g`;
      await dying.transport.topics?.bind("topic", "g", CALL);
      const { streams }: { streams: readonly string[] } = JSON.parse(
        await raw.request("$JS.API.STREAM.NAMES", JSON.stringify({ subject: `${prefix}.>` })),
      );
      const stream = streams.find((one) => one.startsWith(`${prefix}_topic_g`)) ?? group;
      const { config } = JSON.parse(await raw.request(`$JS.API.STREAM.INFO.${stream}`));
      const brief = { ...config, duplicate_window: WINDOW * 1_000_000 };
      await raw.request(`$JS.API.STREAM.UPDATE.${stream}`, JSON.stringify(brief));
      await dying.cut(
        () => dying.transport.push([job({ id: "1", queue: "topic@" })], CALL),
        (subject) => subject.includes("STREAM.MSG.DELETE"),
      );
      await forget();
      await next.topics?.bind("topic", "other", CALL);
      expect((await allOf(next, "topic@g")).map(({ id }) => id)).toEqual(["1"]);
    },
    30_000,
  );
});

interface Two extends AsyncDisposable {
  readonly raw: RawNats;
  /** The stream of the queue. */
  readonly stream: string;
  readonly transport: Transport;
  readonly next: Transport;
}

/** Two processes, and an operator beside them. */
async function twoOn(server: NatsServer): Promise<Two> {
  const prefix = `old-${crypto.randomUUID()}`;
  const [transport, next] = [1, 2].map(() => nats({ servers: server.url, prefix, ackWait: 10_000 }));
  if (transport === undefined || next === undefined) throw new Error("Wanted two transports");
  const raw = await server.raw();
  return {
    raw,
    stream: `${prefix}_${QUEUE}`,
    transport,
    next,
    async [Symbol.asyncDispose]() {
      await transport[Symbol.asyncDispose]();
      await next[Symbol.asyncDispose]();
      await raw[Symbol.asyncDispose]();
    },
  };
}

/** Makes the consumer of waiting jobs anew: it knows of no delivery. */
async function forgetDeliveries({ raw, stream }: Two): Promise<void> {
  const { config } = JSON.parse(await raw.request(`$JS.API.CONSUMER.INFO.${stream}.relevo`));
  await raw.request(`$JS.API.CONSUMER.DELETE.${stream}.relevo`);
  const body = JSON.stringify({ stream_name: stream, config });
  await raw.request(`$JS.API.CONSUMER.DURABLE.CREATE.${stream}.relevo`, body);
}

/** The first two of some deliveries. */
function pair([first, second]: readonly Delivery[]): readonly [Delivery, Delivery] {
  if (first === undefined || second === undefined) throw new Error("Wanted two deliveries");
  return [first, second];
}

describeOn(["nats"], "A server that has forgotten a delivery", () => {
  const start = owned(() => startNats());

  test.concurrent("says nothing to who settles it: what is told as done is done all the same", async () => {
    await using two = await twoOn(await start());
    const { transport, next } = two;
    await transport.push([job({ id: "1", queue: QUEUE }), job({ id: "2", queue: QUEUE })], CALL);
    const [done, failed] = pair(await take(transport));
    await forgetDeliveries(two);
    const answers = await transport.settle([
      { queue: QUEUE, token: done.token, to: "done" },
      { queue: QUEUE, token: failed.token, to: "failed", meta: "m", reason: "r" },
    ], CALL);
    expect(answers).toEqual(["settled", "settled"]);
    expect(await take(next, QUEUE, 500)).toEqual([]);
    expect(await next.info(QUEUE, CALL)).toMatchObject({ waiting: 0, reserved: 0, failed: 1 });
  }, 30_000);

  test.concurrent("and knows of one before it: the last of what is settled speaks for no other", async () => {
    await using two = await twoOn(await start());
    const { transport, next } = two;
    await transport.push([job({ id: "1", queue: QUEUE }), job({ id: "2", queue: QUEUE })], CALL);
    const [known, forgotten] = pair(await take(transport));
    await forgetDeliveries(two);
    // The first is handed over anew.
    const again = await next.reserve([QUEUE], { limit: 1, slots: 1, lease: LEASE, wait: 0, ...CALL });
    expect(again.map(({ id }) => id)).toEqual(["1"]);
    const answers = await transport.settle(
      [forgotten, known].map(({ token }) => ({ queue: QUEUE, token, to: "done" as const })),
      CALL,
    );
    expect(answers).toEqual(["settled", "settled"]);
    expect(await take(next, QUEUE, 500)).toEqual([]);
    expect(await next.info(QUEUE, CALL)).toMatchObject({ waiting: 0, reserved: 0 });
  }, 30_000);

  test.concurrent("as its stream was made anew keeps the job that bears its number now", async () => {
    await using two = await twoOn(await start());
    const { raw, stream, transport, next } = two;
    const numbers = async (): Promise<readonly [number, number]> => {
      const { state } = JSON.parse(await raw.request(`$JS.API.STREAM.INFO.${stream}`));
      return [state.messages, state.last_seq];
    };
    await transport.push([job({ id: "old", queue: QUEUE })], CALL);
    const before = await numbers();
    const [held] = await take(transport);
    if (held === undefined) throw new Error("Wanted a delivery");
    await raw.request(`$JS.API.STREAM.DELETE.${stream}`);
    await next.push([job({ id: "new", queue: QUEUE })], CALL);
    expect(await numbers()).toEqual(before);
    await transport.settle([{ queue: QUEUE, token: held.token, to: "done" }], CALL);
    expect((await take(next, QUEUE, 500)).map(({ id }) => id)).toEqual(["new"]);
  }, 30_000);
});
