/** A store that is full: told before it is, and nothing is lost by it. */
import { expect, test } from "vitest";
import type { Delivery, Pushed } from "../../../src/exchange.ts";
import { job } from "../../../src/testing/conformance/lab.ts";
import type { Transport } from "../../../src/transport.ts";
import { nats, type NatsOptions } from "../../../src/transports/nats/mod.ts";
import { type NatsServer, startNats } from "../support/servers/nats.ts";
import { describeOn } from "../support/servers/owned.ts";

const CALL = { deadline: 10_000 };
const TAKE = { limit: 100, slots: 100, lease: 30_000, wait: 0, ...CALL };
const QUEUE = "work";
const PATIENCE = 60_000;
const PAYLOAD = new Uint8Array(20_000);
/** Milliseconds between two looks for room. */
const LOOK = 1_100;

/** Pushes until a push is refused; how many were stored. */
async function fill(transport: Transport, delay: number): Promise<number> {
  for (let count = 0;; count++) {
    const [pushed] = await transport.push(
      [job({ id: `j${count}`, queue: QUEUE, payload: PAYLOAD, delay })],
      CALL,
    );
    if (pushed !== "stored") {
      expect(pushed).toMatchObject({ code: "TRANSPORT_FULL" });
      return count;
    }
    // The next look tells of it.
    if (count % 10 === 9) await new Promise((resolve) => setTimeout(resolve, LOOK));
  }
}

/** Takes and ends all that comes until there were so many. */
async function finish(transport: Transport, count: number): Promise<ReadonlySet<string>> {
  const seen = new Set<string>();
  for (const end = Date.now() + 40_000; seen.size < count && Date.now() < end;) {
    const found = await transport.reserve([QUEUE], { ...TAKE, wait: 1_000 });
    const done = found.map(({ queue, token }: Delivery) => ({ queue, token, to: "done" as const }));
    await transport.settle(done, CALL);
    for (const { id } of found) seen.add(id);
  }
  return seen;
}

async function full(server: NatsServer, options: Partial<NatsOptions>): Promise<void> {
  const prefix = `full-${crypto.randomUUID()}`;
  const filler = nats({ servers: server.url, prefix, ...options });
  const count = await fill(filler, 6_000);
  expect(count).toBeGreaterThan(20);
  // The process that filled it is gone when they are due.
  await filler[Symbol.asyncDispose]();
  await using worker = nats({ servers: server.url, prefix, ...options });
  // Moves may use the reserve: one that is to run again does.
  const [first] = await worker.reserve([QUEUE], { ...TAKE, limit: 1, wait: 10_000 });
  if (first === undefined) throw new Error("Wanted a delivery");
  expect(await worker.settle([{ queue: QUEUE, token: first.token, to: "again", meta: "m" }], CALL)).toEqual([
    "settled",
  ]);
  expect((await finish(worker, count)).size).toBe(count);
  await new Promise((resolve) => setTimeout(resolve, LOOK));
  const pushed = async (): Promise<Pushed | undefined> =>
    (await worker.push([job({ queue: QUEUE })], CALL))[0];
  await expect.poll(pushed, { timeout: 5_000 }).toBe("stored");
}

describeOn(["nats"], "A full store of NATS", () => {
  test("by 'maxBytes' is told to dispatches, and delayed jobs that fill it all run", async () => {
    await using server = await startNats();
    await full(server, { maxBytes: 1024 * 1024 });
  }, PATIENCE);

  test("by an account's limit is told to dispatches, and delayed jobs that fill it all run", async () => {
    await using server = await startNats({
      config: `accounts { A { jetstream: { max_file: 2MB }, users: [ { user: u, password: p } ] } }`,
      auth: { user: "u", pass: "p" },
    });
    await full(server, { user: "u", pass: "p" });
  }, PATIENCE);
});
