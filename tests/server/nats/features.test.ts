/** What relays do over NATS: durable consumers, leases, exhausted jobs. */
import { expect } from "vitest";
import { createRelay, fixed, type Relay } from "../../../mod.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { testByClock } from "../../web/support/real_clock.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";

const CALL = { deadline: 60_000 };
const PATIENCE = 120_000;

const anything = {
  "~standard": { version: 1, vendor: "test", validate: (value: unknown) => ({ value }) },
} as const;
const jobs = { work: { schema: anything, queue: "work" } };

/** What stands in the way of leases as short as these is no fault of the transport. */
const test = testByClock(100, 2);

describeOn(["nats"], "Relays over NATS", () => {
  const server = owned(() => startNats());

  async function opened(prefix: string, ackWait: number): Promise<Relay<typeof jobs>> {
    return createRelay({ jobs, transport: nats({ servers: (await server()).url, prefix, ackWait }) });
  }

  const fresh = (): string => `r${crypto.randomUUID()}`;

  test("W41: a handler that outlives the lease many times runs once, and leaves nothing", async (times) => {
    const [prefix, lease] = [fresh(), 300 * times];
    const relay = await opened(prefix, lease);
    const other = await opened(prefix, lease);
    const stop = new AbortController();
    const { promise: done, resolve } = Promise.withResolvers<void>();
    let runs = 0;
    for (const one of [relay, other]) {
      one.handle("work", async () => {
        runs++;
        await new Promise((end) => setTimeout(end, 5 * lease));
        resolve();
      });
    }
    const workers = [relay, other].map((one) => one.run({ signal: stop.signal, lease }));
    await relay.dispatch("work", {});
    await done;
    await expect.poll(async () => (await relay.info("work")).reserved).toBe(0);
    stop.abort();
    await Promise.all(workers);
    expect(runs).toBe(1);
    for (const one of [relay, other]) await one.close();
  }, PATIENCE);

  test("a job that always fails runs as often as it may, and is dead with its error", async () => {
    const relay = await opened(fresh(), 5_000);
    const stop = new AbortController();
    let runs = 0;
    relay.handle("work", () => {
      runs++;
      throw new Error("never");
    });
    const worker = relay.run({ signal: stop.signal, maxRetry: 5, backoff: fixed(20) });
    const { id } = await relay.dispatch("work", { n: 1 });
    await expect.poll(async () => (await relay.info("work")).failed).toBe(1);
    stop.abort();
    await worker;
    expect(runs).toBe(5);
    const dead = await relay.get("work", id);
    expect([dead?.dead?.reason, dead?.lastError?.message]).toEqual(["exhausted", "never"]);
    expect(new TextDecoder().decode(dead?.payload)).toBe('{"n":1}');
    await relay.close();
  }, PATIENCE);

  test(
    "what was dispatched before any worker ever ran is handled, and no new worker gets what is done",
    async () => {
      const prefix = fresh();
      const producer = await opened(prefix, 5_000);
      for (let n = 0; n < 100; n++) await producer.dispatch("work", { n });
      await producer.close();
      const seen: unknown[] = [];
      for (let round = 0; round < 2; round++) {
        const relay = await opened(prefix, 5_000);
        relay.handle("work", (payload) => void seen.push(payload));
        await relay.drain();
        await relay.close();
      }
      expect(seen).toEqual(Array.from({ length: 100 }, (_, n) => ({ n })));
    },
    PATIENCE,
  );

  test("a burst that nobody reads for a while is lost to no slow consumer", async () => {
    const transport = nats({ servers: (await server()).url, prefix: fresh(), ackWait: 1_000 });
    const batch = Array.from({ length: 2_000 }, (_, n) => ({
      queue: "work",
      id: `${n}`,
      name: "n",
      payload: new Uint8Array(4_000),
      meta: "",
    }));
    expect(new Set(await transport.push(batch, CALL))).toEqual(new Set(["stored"]));
    const call = { limit: 2_000, slots: 2_000, lease: 1_000, wait: 1_000, ...CALL };
    const reserved = transport.reserve(["work"], call);
    // Blocks the thread for longer than the lease while the server sends.
    const end = performance.now() + 1_500;
    while (performance.now() < end);
    const seen = new Set<string>();
    let found = await reserved;
    for (let idle = 0; seen.size < 2_000 && idle < 10; idle = found.length === 0 ? idle + 1 : 0) {
      const done = found.map(({ queue, token }) => ({ queue, token, to: "done" as const }));
      const results = await transport.settle(done, CALL);
      for (const [n, { id }] of found.entries()) if (results[n] === "settled") seen.add(id);
      found = await transport.reserve(["work"], { ...call, lease: 10_000 });
    }
    expect(seen.size).toBe(2_000);
    await transport[Symbol.asyncDispose]();
  }, PATIENCE);

  test(
    "a call over a link that hangs ends within its deadline, and the link works when it is back",
    async () => {
      const own = await startNats();
      const transport = nats({ servers: own.url });
      await transport.queues(CALL);
      own.pause();
      // A signal takes its time: what the server still answers is repeated.
      const ends = async (): Promise<string> => {
        const begun = performance.now();
        const end = await transport.info("work", { deadline: 500 }).then(() => "answered", () => "rejected");
        expect(performance.now() - begun).toBeLessThan(20_000);
        return end;
      };
      await expect.poll(ends).toBe("rejected");
      own.resume();
      const pushed = await transport.push([{
        queue: "work",
        id: "1",
        name: "n",
        payload: new Uint8Array(1),
        meta: "",
      }], CALL);
      expect(pushed).toEqual(["stored"]);
      await transport[Symbol.asyncDispose]();
      await own[Symbol.asyncDispose]();
    },
    PATIENCE,
  );
});
