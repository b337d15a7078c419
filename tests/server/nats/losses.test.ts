/** What counts as a lost lease: jobs that a worker had, and not what was on its way to processes that died. */
import { connect } from "@nats-io/transport-node";
import { expect } from "vitest";
import type { Delivery, ReserveOptions } from "../../../src/jobs/exchange.ts";
import { job } from "../../../src/testing/conformance/lab.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { nats, type NatsConnection } from "../../../src/transports/nats/mod.ts";
import { testByClock } from "../../web/support/real_clock.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";

const CALL = { deadline: 60_000 };
const ACK_WAIT = 300;
const DEATHS = 4;
const QUEUE = "work";
const PATIENCE = 120_000;
const LOOK: ReserveOptions = { limit: 1, slots: 1, lease: 60_000, wait: 0, ...CALL };

/** What stands in the way of leases as short as these is no fault of the transport. */
const test = testByClock(ACK_WAIT / 3);

describeOn(["nats"], `Losses that NATS cannot tell from deliveries`, () => {
  const started = owned(() => startNats());

  async function onStore(
    ackWait: number = ACK_WAIT,
  ): Promise<{ readonly prefix: string; readonly transport: Transport }> {
    const prefix = `losses-${crypto.randomUUID()}`;
    const transport = nats({ servers: (await started()).url, prefix, ackWait });
    await transport.push([job({ queue: QUEUE, id: "1" })], CALL);
    return { prefix, transport };
  }

  /** A process dies to which the server has just sent a job of a line; before that it may `say` something of the job. */
  async function dieAt(prefix: string, consumer: string, say?: string): Promise<void> {
    const client = await connect({
      servers: (await started()).url.replace("nats://", ""),
      reconnect: false,
    });
    const { promise: sent, resolve, reject } = Promise.withResolvers<void>();
    client.subscribe(`died.${prefix}`, {
      callback(_, message) {
        if ((message.headers?.code ?? 0) !== 0) return reject(new Error("Wanted a job at the line"));
        if (say !== undefined) message.respond(say);
        resolve();
      },
    });
    const pull = JSON.stringify({ batch: 1, expires: 10_000 * 1_000_000 });
    client.publish(`$JS.API.CONSUMER.MSG.NEXT.${prefix}_${QUEUE}.${consumer}`, pull, {
      reply: `died.${prefix}`,
    });
    await sent;
    await client.flush();
    await client.close();
  }

  function come(transport: Transport, slots: number): Promise<readonly Delivery[]> {
    return transport.reserve([QUEUE], { ...LOOK, slots, wait: 3 * ACK_WAIT });
  }

  async function one(transport: Transport): Promise<Delivery> {
    for (;;) {
      const [delivery] = await come(transport, 1);
      if (delivery !== undefined) return delivery;
    }
  }

  async function notes(prefix: string): Promise<number> {
    await using client = await (await started()).raw();
    const filter = JSON.stringify({ subjects_filter: `${prefix}.${QUEUE}.h.>` });
    const info = JSON.parse(await client.request(`$JS.API.STREAM.INFO.${prefix}_${QUEUE}`, filter));
    return Object.keys(info.state.subjects ?? {}).length;
  }

  test("a job that waited at processes which died one after the other has lost one lease", async () => {
    const { prefix, transport } = await onStore();
    await using _ = transport;
    for (let death = 0; death < DEATHS; death++) await dieAt(prefix, "relevo");
    expect((await one(transport)).lost).toBe(1);
  }, PATIENCE);

  test("a job that the server delivers again before a lease of it can be over has lost none", async () => {
    const { prefix, transport } = await onStore(60_000);
    await using _ = transport;
    await dieAt(prefix, "relevo", "-NAK");
    expect((await one(transport)).lost).toBe(0);
  }, PATIENCE);

  test("once it has lost one, what never reached a worker is not counted", async () => {
    const { prefix, transport } = await onStore();
    await using _ = transport;
    await dieAt(prefix, "relevo");
    for (let death = 0; death < DEATHS; death++) {
      // Taken back, and left to others.
      expect(await come(transport, 0)).toEqual([]);
      await dieAt(prefix, "relevo_back");
    }
    expect((await one(transport)).lost).toBe(1);
  }, PATIENCE);

  test("nor is it when it was settled to run again", async () => {
    const { prefix, transport } = await onStore();
    await using _ = transport;
    await dieAt(prefix, "relevo");
    const worker = nats({ servers: (await started()).url, prefix, ackWait: ACK_WAIT });
    const { queue, token } = await one(worker);
    await worker.settle([{ queue, token, to: "again", meta: "next", delay: 100 }], CALL);
    await worker[Symbol.asyncDispose]();
    // Counting moves what is due.
    await expect.poll(async () => (await transport.info(QUEUE, CALL)).waiting).toBe(1);
    await dieAt(prefix, "relevo");
    const next = await one(transport);
    expect([next.meta, next.lost]).toEqual(["next", 0]);
  }, PATIENCE);

  test(
    "a job of whose note the server says nothing is handed over when it does, and lost nothing more",
    async () => {
      const { prefix, transport } = await onStore();
      await using _ = transport;
      await dieAt(prefix, "relevo");
      const real = await connect({ servers: (await started()).url.replace("nats://", "") });
      let unheard = 0;
      let silent = true;
      const connection: NatsConnection = new Proxy(real, {
        get(target, key) {
          const value: unknown = Reflect.get(target, key);
          if (key !== "publish") return typeof value === "function" ? value.bind(target) : value;
          return (...parts: Parameters<typeof real.publish>) => {
            if (!silent || !parts[0].startsWith(`${prefix}.${QUEUE}.h.`)) return target.publish(...parts);
            unheard++;
          };
        },
      });
      const worker = nats({ connection, prefix, ackWait: ACK_WAIT });
      for (let looks = 0; looks < 10; looks++) expect(await come(worker, 1)).toEqual([]);
      expect(unheard).toBeGreaterThan(1);
      silent = false;
      expect((await one(worker)).lost).toBe(1);
      await worker[Symbol.asyncDispose]();
      await real.close();
    },
    PATIENCE,
  );

  test("each lease that a worker lost is counted, and no note is left", async () => {
    const { prefix, transport } = await onStore();
    await using _ = transport;
    for (let lost = 0; lost < DEATHS; lost++) {
      const worker = nats({ servers: (await started()).url, prefix, ackWait: ACK_WAIT });
      const delivery = await one(worker);
      expect(delivery.lost).toBe(lost);
      // It was handed over, and nobody keeps it up.
      await worker[Symbol.asyncDispose]();
    }
    const { queue, token, lost } = await one(transport);
    expect(lost).toBe(DEATHS);
    expect(await transport.settle([{ queue, token, to: "done" }], CALL)).toEqual(["settled"]);
    await expect.poll(() => notes(prefix)).toBe(0);
  }, PATIENCE);
});
