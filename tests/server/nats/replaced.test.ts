/** Streams that were deleted and made anew while no call of a process saw it. */
import { expect, test } from "vitest";
import { job } from "../../../src/testing/conformance/lab.ts";
import type { Delivery } from "../../../src/jobs/exchange.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { becomes } from "../support/becomes.ts";
import { type NatsServer, startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";

const CALL = { deadline: 30_000 };
const LEASE = 20_000;
const TAKE = { limit: 1, slots: 1, lease: LEASE, wait: 20_000, ...CALL };
const NEXT = { ...TAKE, wait: 0 };

/** A worker that holds a job, and a producer, each on a connection of its own. */
interface Pair extends AsyncDisposable {
  readonly prefix: string;
  readonly worker: Transport;
  readonly producer: Transport;
  readonly held: Delivery;
  /** Deletes the queue's stream and stores another job in a new one; resolves when the worker's connection knows. */
  replace(): Promise<void>;
}

async function pairOn(server: NatsServer, queue = "work"): Promise<Pair> {
  const prefix = `r${crypto.randomUUID()}`;
  const [worker, producer] = [0, 1].map(() => nats({ servers: server.url, prefix, ackWait: LEASE }));
  if (worker === undefined || producer === undefined) throw new Error("Wanted two");
  const [topic = "", group] = queue.split("@");
  const owner = group === undefined ? queue : `${topic}@`;
  const isBound = async (): Promise<boolean> => {
    if (group !== undefined) await producer.topics?.bind(topic, group, CALL);
    return true;
  };
  const stored = async (id: string): Promise<boolean> => {
    const [pushed] = await producer.push([job({ id, queue: owner })], CALL);
    return pushed === "stored";
  };
  await isBound();
  expect(await stored("old")).toBe(true);
  const [held] = await worker.reserve([queue], TAKE);
  if (held === undefined) throw new Error("Wanted a delivery");
  return {
    prefix,
    worker,
    producer,
    held,
    async replace() {
      await using raw = await server.raw();
      const [name = ""] = (await raw.request("$JS.API.STREAM.NAMES", `{"subject":"${prefix}.>"}`))
        .match(new RegExp(`${prefix}_[^"]+`)) ?? [];
      expect(await raw.request(`$JS.API.STREAM.DELETE.${name}`)).toContain('"success":true');
      await becomes("its groups are bound again", () => isBound().catch(() => false));
      await becomes("another job is stored", () => stored("new"));
      // The server's word about the consumer comes before the answer to a later question.
      await worker.info("another", CALL);
    },
    async [Symbol.asyncDispose]() {
      await worker[Symbol.asyncDispose]();
      await producer[Symbol.asyncDispose]();
    },
  };
}

describeOn(["nats"], "A stream of NATS that was deleted and made anew between two polls", () => {
  const start = owned(() => startNats());

  test("is told to the next reserve, once, and its jobs run", async () => {
    await using pair = await pairOn(await start());
    const { worker } = pair;
    await pair.replace();
    await expect(worker.reserve(["work"], NEXT)).rejects.toMatchObject({
      code: "TRANSPORT_UNAVAILABLE",
      message: expect.stringMatching(/was deleted and made anew: the jobs that it held are gone/),
    });
    const [next] = await worker.reserve(["work"], TAKE);
    expect(next?.id).toBe("new");
  });

  test("makes no call fail of a process that finds it for the first time", async () => {
    const server = await start();
    await using pair = await pairOn(server);
    await pair.replace();
    await using other = nats({ servers: server.url, prefix: pair.prefix, ackWait: LEASE });
    const [next] = await other.reserve(["work"], TAKE);
    expect(next?.id).toBe("new");
  });

  for (const queue of ["work", "news@mail"]) {
    test(`leaves a delivery of '${queue}' from the old one stale: it ends no job that has its number now`, async () => {
      await using pair = await pairOn(await start(), queue);
      const { worker, producer, held } = pair;
      await pair.replace();
      const [theirs] = await producer.reserve([queue], TAKE).catch(() => producer.reserve([queue], TAKE));
      expect(theirs?.id).toBe("new");
      const { token } = held;
      expect(await worker.extend([{ queue, token, ms: LEASE }], CALL)).toEqual([{ state: "stale" }]);
      expect(await worker.settle([{ queue, token, to: "done" }], CALL)).toEqual(["stale"]);
      expect(await producer.info(queue, CALL)).toMatchObject({ reserved: 1 });
      const mine = { queue, token: theirs?.token ?? "" };
      expect(await producer.settle([{ ...mine, to: "done" }], CALL)).toEqual(["settled"]);
    });
  }
});
