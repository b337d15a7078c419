/** A store that is full: told before it is, and nothing is lost by it. */
import { expect, test } from "vitest";
import type { Delivery, Pushed } from "../../src/jobs/exchange.ts";
import { job } from "../../src/testing/conformance/lab.ts";
import type { Transport } from "../../src/contract/transport.ts";
import { nats, type NatsOptions } from "../../src/transports/nats/mod.ts";
import { type NatsServer, startNats } from "../server/support/servers/nats.ts";
import { describeOn } from "../server/support/servers/owned.ts";

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
async function finish(transport: Transport, count: number, ms = 40_000): Promise<ReadonlySet<string>> {
  const seen = new Set<string>();
  for (const end = Date.now() + ms; seen.size < count && Date.now() < end;) {
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

  test("of which a user may know nothing keeps no job from being dispatched", async () => {
    await using server = await startNats({
      config: `authorization { users = [
        { user: boss, password: p }
        { user: poor, password: p, permissions: { publish: { deny: ["$JS.API.INFO"] } } } ] }`,
      auth: { user: "boss", pass: "p" },
    });
    await using transport = nats({ servers: server.url, user: "poor", pass: "p" });
    expect(await transport.push([job({ queue: QUEUE })], CALL)).toEqual(["stored"]);
  });

  test(
    "by a server's own limit, of which no client knows, loses no delayed job: those that were refused at their instant run",
    async () => {
      await using server = await startNats({ limits: { max_file: 400_000 } });
      const prefix = `full-${crypto.randomUUID()}`;
      await using transport = nats({ servers: server.url, prefix });
      const due = Date.now() + 5_000;
      let count = 0;
      for (;;) {
        const [pushed] = await transport.push([
          job({ id: `j${count}`, queue: QUEUE, payload: PAYLOAD, at: due }),
        ], CALL);
        if (pushed !== "stored") break;
        count++;
      }
      expect(count).toBeGreaterThan(5);
      // The server has tried at their instant, and tries no more.
      await new Promise((resolve) => setTimeout(resolve, due + 3_000 - Date.now()));
      const { delayed } = await transport.info(QUEUE, CALL);
      expect(delayed).toBeGreaterThan(0);
      const { jobs } = { jobs: await transport.list(QUEUE, "delayed", { limit: 100, preview: 0 }, CALL) };
      const ids = jobs.entries.slice(0, 3).map(({ id }) => id);
      expect(await transport.remove(QUEUE, "delayed", { ids }, CALL)).toBe(ids.length);
      await using worker = nats({ servers: server.url, prefix });
      expect((await finish(worker, count - ids.length, 100_000)).size).toBe(count - ids.length);
    },
    3 * PATIENCE,
  );
});
