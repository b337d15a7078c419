/** A worker that reads queues which nothing names. */
import { expect, test } from "vitest";
import { createRelay, type EventMap, memory, type Relay, type Transport } from "../../../mod.ts";
import { createFakeRuntime } from "../../../src/testing/mod.ts";
import { free, heard, running, wrapped } from "../support/kit.ts";

const jobs = {
  mail: { schema: free<number>(), queue: "mails" },
  news: { schema: free<number>(), topic: true },
};

/** A worker of some queues, 10 s long; what it told. */
async function works(
  queues: readonly string[],
  { before, transport = (inner) => inner }: {
    readonly before?: (relay: Relay<typeof jobs>) => Promise<unknown>;
    readonly transport?: (inner: Transport) => Transport;
  } = {},
): Promise<EventMap["error"][]> {
  const runtime = createFakeRuntime();
  const relay = createRelay({ jobs, runtime, transport: transport(memory({ runtime })), log: false });
  relay.handle("mail", () => {});
  relay.handle("news", () => {}, { group: "readers" });
  await before?.(relay);
  const told = heard(relay.events, "error");
  const work = running(relay, { queues, poll: 100 });
  await runtime.advance(10_000);
  await work.abort();
  await relay.close();
  return told;
}

test("a worker tells once of each queue that nothing knows, with the names that there are", async () => {
  const told = await works(["mials", "mails", "news@raeders"]);
  expect(told.map(({ error, during }) => [error.name, error.message, during])).toEqual([
    [
      "UnknownQueueError",
      "Cannot find jobs in queue 'mials' as no definition and no job in the store names it: there are default, mails",
      "running a worker",
    ],
    [
      "UnknownQueueError",
      "Cannot find jobs in queue 'news@raeders' as no definition and no job in the store names it: there are default, mails",
      "running a worker",
    ],
  ]);
});

test("a worker tells nothing of queues of definitions, of groups, and of those that held a job", async () => {
  const told = await works(["mails", "default", "news@readers", "older"], {
    transport: (inner) => wrapped(inner, () => ({ queues: () => Promise.resolve(["older"]) })),
  });
  expect(told).toEqual([]);
});

test("a store that cannot be asked for its queues is asked again, and a queue it knows then is not told of", async () => {
  let asked = 0;
  const told = await works(["older"], {
    transport: (inner) =>
      wrapped(inner, () => ({
        queues: () => asked++ < 3 ? Promise.reject(new Error("away")) : Promise.resolve(["older"]),
      })),
  });
  expect([asked, told]).toEqual([4, []]);
});

test("a drain tells of a queue that nothing knows before it ends", async () => {
  const runtime = createFakeRuntime();
  const relay = createRelay({ jobs, runtime, transport: memory({ runtime }), log: false });
  const told = heard(relay.events, "error");
  await Promise.all([relay.drain({ queues: ["mials"] }), runtime.advance(1_000)]);
  await relay.close();
  expect(told).toMatchObject([{ error: { code: "UNKNOWN_QUEUE", queue: "mials" }, during: "draining" }]);
});
