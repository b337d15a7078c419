/** How often a job runs is an adapter's to say where neither the job nor the worker does. */
import { expect, test } from "vitest";
import { createRelay, fixed, type Transport, type WorkerOptions } from "../../mod.ts";
import { connect } from "../../src/connect.ts";
import { nats } from "../../src/transports/nats/mod.ts";
import { redis } from "../../src/transports/redis/mod.ts";
import { startNats } from "./support/servers/nats.ts";
import { describeOn, owned } from "./support/servers/owned.ts";
import { startRedis } from "./support/servers/redis.ts";

const schema = {
  "~standard": { version: 1, vendor: "test", validate: (value: unknown) => ({ value }) },
} as const;
const PATIENCE = 120_000;

/** How often a job that always fails runs before it is dead. */
async function runsOf(
  transport: Transport,
  options: WorkerOptions = {},
  maxAttempts?: number,
): Promise<number> {
  const relay = createRelay({ jobs: { work: { schema, queue: "work", maxAttempts } }, transport });
  let runs = 0;
  relay.handle("work", () => {
    runs++;
    throw new Error("never");
  });
  const stop = new AbortController();
  const worker = relay.run({ signal: stop.signal, backoff: fixed(20), ...options });
  await relay.dispatch("work", {});
  await expect.poll(async () => (await relay.info("work")).failed).toBe(1);
  stop.abort();
  await worker;
  await relay.close();
  return runs;
}

function examine(
  open: (maxRuns: number | undefined) => Promise<Transport>,
  byUrl: (maxRuns: number) => Promise<Transport>,
): void {
  test("F052, F059: three runs where the adapter says nothing, else what it says", async () => {
    expect(await runsOf(await open(undefined))).toBe(3);
    expect(await runsOf(await open(5))).toBe(5);
    expect(await runsOf(await byUrl(2))).toBe(2);
  }, PATIENCE);

  test("the worker knows better, and the job better still", async () => {
    expect(await runsOf(await open(5), { maxRetry: 1 })).toBe(1);
    expect(await runsOf(await open(5), { maxRetry: 1 }, 2)).toBe(2);
  }, PATIENCE);
}

const prefix = (): string => `attempts${crypto.randomUUID()}`;

describeOn(["redis7"], "Runs of a job on Redis", () => {
  const server = owned(() => startRedis());
  examine(
    async (maxRetries) => redis({ url: (await server()).url, prefix: prefix(), maxRetries, warn: () => {} }),
    async (runs) => await connect(`${(await server()).url}?prefix=${prefix()}&maxRetries=${runs}`),
  );

  test("an adapter that would allow none is refused", () => {
    expect(() => redis({ maxRetries: 0 })).toThrow("Cannot use Redis as 'maxRetries' must be");
  });
});

describeOn(["nats"], "Runs of a job on NATS", () => {
  const server = owned(() => startNats());
  examine(
    async (maxDeliver) => nats({ servers: (await server()).url, prefix: prefix(), maxDeliver }),
    async (runs) => await connect(`${(await server()).url}?prefix=${prefix()}&maxDeliver=${runs}`),
  );

  test("an adapter that would allow none is refused", () => {
    expect(() => nats({ servers: "nats://127.0.0.1", maxDeliver: 0 })).toThrow(
      "Cannot use NATS as 'maxDeliver' must be",
    );
  });
});
