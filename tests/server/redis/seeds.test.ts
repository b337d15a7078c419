/** What the brokers over Redis Streams that others wrote do, or fail to do, as `redis-cli` and relays see it here. */
import { expect, test } from "vitest";
import { createRelay, deadLetter, fixed, type Relay, type WorkerOptions } from "../../../mod.ts";
import { redis } from "../../../src/transports/redis/mod.ts";
import { running } from "../../web/support/kit.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { startRedis } from "../support/servers/redis.ts";
import { startRedisWorld } from "../support/servers/redis_world.ts";
import { redisCli } from "../support/servers/redis_cli.ts";

const schema = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: (value: unknown) =>
      typeof value === "object" && value !== null ? { value } : { issues: [{ message: "no object" }] },
  },
} as const;
const jobs = { mail: { schema, queue: "mail" }, slow: { schema, queue: "mail" } };
const PATIENCE = 120_000;
const LEASE = 30_000;

describeOn(["redis7"], "Redis, beside redis-cli", () => {
  const server = owned(() => startRedis());
  const cli = async (...command: readonly string[]): Promise<readonly string[]> =>
    await redisCli(await server(), ...command);

  interface Ground {
    readonly prefix: string;
    key(part: string): string;
    relay(): Promise<Relay<typeof jobs>>;
  }

  function ground(): Ground {
    const prefix = `seeds${crypto.randomUUID()}`;
    return {
      prefix,
      key: (part) => `{${prefix}:mail}:${part}`,
      relay: async () =>
        createRelay({ jobs, transport: redis({ url: (await server()).url, prefix, warn: () => {} }) }),
    };
  }

  /** Runs a worker until something has become true. */
  async function until(
    relay: Relay<typeof jobs>,
    done: () => Promise<boolean> | boolean,
    options: WorkerOptions = {},
  ): Promise<void> {
    const stop = new AbortController();
    const worker = relay.run({ signal: stop.signal, ...options });
    await expect.poll(done).toBe(true);
    stop.abort();
    await worker;
  }

  test("F055: a dispatched job is one entry whose payload is its JSON", async () => {
    const { relay: open, key } = ground();
    await using relay = await open();
    const { id } = await relay.dispatch("mail", { to: "ä" });
    const [entry, ...fields] = await cli("XRANGE", key("waiting"), "-", "+");
    expect(entry).toMatch(/^\d+-\d+$/);
    // redis-cli prints the lines of the head as they are.
    expect(fields.slice(0, 3)).toEqual(["relevo:mail", id, ""]);
    expect(JSON.parse(fields[fields.indexOf("payload") + 1] ?? "")).toEqual({ to: "ä" });
  });

  test("F056: the group is made by the first call that needs it, and starting twice is no error", async () => {
    const { relay: open, key } = ground();
    await using one = await open();
    await using two = await open();
    for (const relay of [one, two]) relay.handle("mail", () => {});
    await one.dispatch("mail", {});
    await Promise.all([one.drain(), two.drain()]);
    expect((await cli("XINFO", "GROUPS", key("waiting"))).slice(0, 2)).toEqual(["name", "relevo"]);
  });

  test("F057, W18: workers have names of their own, and those that are gone are taken out", async () => {
    const { relay: open, key } = ground();
    const consumers = async (): Promise<readonly string[]> => {
      const lines = await cli("XINFO", "CONSUMERS", key("waiting"), "relevo");
      return lines.filter((_, n) => lines[n - 1] === "name");
    };
    const seen = new Set<string>();
    for (let start = 0; start < 10; start++) {
      await using relay = await open();
      relay.handle("mail", async () => {
        for (const name of await consumers()) seen.add(name);
      });
      await relay.dispatch("mail", {});
      await relay.drain();
    }
    expect(seen.size).toBe(10);
    expect((await consumers()).length).toBeLessThanOrEqual(1);
  }, PATIENCE);

  test(
    "F060, W17: a dead job is one entry with its payload, its original's number, error, attempts and time",
    async () => {
      const { relay: open, key } = ground();
      await using relay = await open();
      relay.handle("mail", () => {
        throw new Error("no such address");
      });
      await relay.dispatch("mail", { to: "x" });
      const [original] = await cli("XRANGE", key("waiting"), "-", "+");
      await until(relay, async () => (await relay.info("mail")).failed === 1, { maxRetry: 1 });
      const [, ...fields] = await cli("XRANGE", key("failed"), "-", "+");
      const of = (field: string): string => fields[fields.indexOf(field) + 1] ?? "";
      expect(JSON.parse(of("payload"))).toEqual({ to: "x" });
      expect(of("original_id")).toBe(original);
      expect([of("reason"), of("error"), of("attempts")]).toEqual(["exhausted", "no such address", "1"]);
      expect(Math.abs(Number(of("time")) - Date.now())).toBeLessThan(60_000);
      expect((await cli("XPENDING", key("waiting"), "relevo"))[0]).toBe("0");
    },
    PATIENCE,
  );

  test(
    "F062, W26: what redis-cli adds is handled with defaults; without a payload it is dead, and the worker goes on",
    async () => {
      const { relay: open, key } = ground();
      await using relay = await open();
      const seen: unknown[] = [];
      relay.handle("mail", (payload, { job, attempt }) => void seen.push([payload, job.name, attempt]));
      await cli("XADD", key("waiting"), "*", "subject", "nothing else");
      await cli("XADD", key("waiting"), "*", "payload", "not json");
      const [added] = await cli("XADD", key("waiting"), "*", "payload", `{"to":"raw"}`);
      await until(relay, () => seen.length === 1);
      expect(seen).toEqual([[{ to: "raw" }, "mail", 1]]);
      const { jobs: dead } = await relay.list("mail", "failed");
      expect(dead.map((one) => one.dead?.reason).toSorted()).toEqual(["undecodable", "undecodable"]);
      expect(dead.map(({ id }) => id)).not.toContain(added);
    },
    PATIENCE,
  );

  test("W15: a job that fails runs again after its backoff, without any restart", async () => {
    const { relay: open } = ground();
    await using relay = await open();
    const times: number[] = [];
    relay.handle("mail", () => {
      times.push(performance.now());
      if (times.length < 3) throw new Error("not yet");
    });
    await relay.dispatch("mail", {});
    await until(relay, () => times.length === 3, { maxRetry: 3, backoff: fixed(200) });
    for (const [n, time] of times.entries()) {
      if (n > 0) expect(time - (times[n - 1] ?? 0)).toBeGreaterThanOrEqual(199);
    }
  }, PATIENCE);

  test("W16, F047: what was dispatched before any worker is handled when one comes", async () => {
    const { relay: open } = ground();
    await using producer = await open();
    for (let n = 0; n < 100; n++) await producer.dispatch("mail", { n });
    await using consumer = await open();
    let runs = 0;
    consumer.handle("mail", () => void runs++);
    await consumer.drain();
    expect(runs).toBe(100);
  }, PATIENCE);

  test("W22: of 1,000 jobs that are done nothing is stored", async () => {
    const { relay: open, key } = ground();
    await using relay = await open();
    relay.handle("mail", () => {});
    await relay.dispatchMany(
      Array.from({ length: 1_000 }, (_, n) => ({ name: "mail" as const, payload: { n } })),
    );
    expect(await cli("XLEN", key("waiting"))).toEqual(["1000"]);
    await relay.drain();
    expect(await cli("XLEN", key("waiting"))).toEqual(["0"]);
    expect(await cli("EXISTS", key("ids"), key("failed"), key("delayed"), key("due"))).toEqual(["0"]);
  }, PATIENCE);

  test("W23: one slow job keeps none of the nine behind it, and a second worker repeats none", async () => {
    await using world = await startRedisWorld();
    const runtime = world.begin();
    /** What a call comes to, while time goes by as it needs it. */
    const timely = async <T>(call: Promise<T>): Promise<T> =>
      (await Promise.all([call, runtime.advance(1)]))[0];
    const relays = [1, 2].map(() =>
      createRelay({ jobs, transport: redis({ url: world.server.url, runtime, warn: () => {} }), runtime })
    );
    const runs: string[] = [];
    const { promise: release, resolve: end } = Promise.withResolvers<void>();
    for (const relay of relays) {
      relay.handle("slow", async () => {
        runs.push("slow");
        await release;
      });
      relay.handle("mail", (payload) => void runs.push(`${(payload as { n: number }).n}`));
    }
    const [one, two] = relays;
    if (one === undefined || two === undefined) throw new Error("Wanted two relays");
    await timely(one.dispatch("slow", {}));
    for (let n = 1; n <= 9; n++) await timely(one.dispatch("mail", { n }));
    const first = running(one, { lease: LEASE, concurrency: 2 });
    await runtime.advance(LEASE / 10);
    expect(runs).toHaveLength(10);
    const second = running(two, { lease: LEASE, concurrency: 2 });
    // The slow job outlives its lease many times.
    await runtime.advance(10 * LEASE);
    expect((await timely(one.info("mail"))).reserved).toBe(1);
    end();
    await runtime.advance(LEASE);
    expect((await timely(one.info("mail"))).reserved).toBe(0);
    for (const worker of [first, second]) await timely(worker.abort());
    for (const relay of relays) await timely(relay.close());
    expect(runs.toSorted()).toEqual(["1", "2", "3", "4", "5", "6", "7", "8", "9", "slow"]);
  }, PATIENCE);

  test(
    "F079, F081 to F083 beside redis-cli: dead, reloaded, removed, and counted as the keys say",
    async () => {
      const { relay: open, key } = ground();
      await using relay = await open();
      relay.handle("mail", () => deadLetter({ reason: "spam" }));
      for (let n = 0; n < 3; n++) await relay.dispatch("mail", { n });
      await relay.drain();
      expect((await relay.info("mail")).failed).toBe(3);
      expect(await cli("XLEN", key("failed"))).toEqual(["3"]);
      expect(await relay.reload("mail", "failed", "all")).toEqual({ reloaded: 3, taken: 0 });
      expect(await cli("XLEN", key("waiting"))).toEqual(["3"]);
      await relay.drain();
      expect(await relay.remove("mail", "failed", "all")).toBe(3);
      expect(await cli("XLEN", key("failed"))).toEqual(["0"]);
    },
    PATIENCE,
  );
});
