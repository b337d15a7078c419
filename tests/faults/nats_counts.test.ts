/** What counting and starting cost beside hundreds of thousands of jobs: no more than beside none. */
import { connect } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import type { QueueInfo } from "../../mod.ts";
import { job } from "../../src/testing/conformance/lab.ts";
import { deadSubject, liveSubject, namesOf } from "../../src/transports/nats/stream/subjects.ts";
import { nats, type NatsConnection } from "../../src/transports/nats/mod.ts";
import { bytes, free, running } from "../web/support/kit.ts";
import { type NatsServer, startNats } from "../server/support/servers/nats.ts";
import { describeOn, owned } from "../server/support/servers/owned.ts";
import { type Ground, groundOn } from "../server/nats/ground.ts";
import { storeMany } from "../server/nats/many.ts";

const CALL = { deadline: 60_000 };
const DEAD = 100_000;
const WAITING = 1_000_000;
const jobs = { work: { schema: free<number>(), queue: "work" } };
/** Counts of each of two queues, of which the quickest is compared: that says what they cost, whatever runs beside. */
const TIMES = 60;
/** Milliseconds by which two measures of one thing may differ. */
const NOISE = 1;
const STARTS = 5;
const FIRST = 1_000;
const PATIENCE = 300_000;

/** A queue that is counted: its counts, how long the quickest took, and what was sent and received for one. */
interface Counted {
  readonly info: QueueInfo;
  quickest: number;
  readonly messages: number;
  readonly bytes: number;
}

/** Counts queues of two prefixes in turn, so that both have the same company on the machine. */
async function countsOf({ url }: NatsServer, prefixes: readonly string[]): Promise<readonly Counted[]> {
  const all = await Promise.all(prefixes.map(async (prefix) => {
    const connection = await connect({ servers: url.replace("nats://", "") });
    const transport = nats({ connection: connection as NatsConnection, prefix, ackWait: 5_000 });
    // The consumers that count are made when they are first asked.
    await transport.info("work", CALL);
    const before = connection.stats();
    const info = await transport.info("work", CALL);
    const after = connection.stats();
    const counted: Counted = {
      info,
      quickest: Infinity,
      messages: after.outMsgs - before.outMsgs,
      bytes: after.outBytes + after.inBytes - before.outBytes - before.inBytes,
    };
    return { connection, transport, counted };
  }));
  for (let times = 0; times < TIMES; times++) {
    for (const { transport, counted } of all) {
      const begun = performance.now();
      await transport.info("work", CALL);
      counted.quickest = Math.min(counted.quickest, performance.now() - begun);
    }
  }
  for (const { transport, connection } of all) {
    await transport[Symbol.asyncDispose]();
    await connection.close();
  }
  return all.map(({ counted }) => counted);
}

/** Makes a queue, its stream and its consumers, as a push does, and leaves one job in it. */
async function made(ground: Ground): Promise<string> {
  await using transport = nats({ servers: ground.server.url, prefix: ground.prefix, ackWait: 5_000 });
  expect(await transport.push([job({ queue: "work", name: "work", payload: bytes(1), meta: "" })], CALL))
    .toEqual(["stored"]);
  return namesOf(ground.prefix, "work").base;
}

function expectAsQuick(what: string, few: Counted | undefined, many: Counted | undefined): void {
  if (few === undefined || many === undefined) throw new Error("Wanted two queues");
  console.log(
    `info() beside ${what}: ${
      many.quickest.toFixed(2)
    } ms, ${many.messages} messages, ${many.bytes} bytes; ` +
      `beside none: ${few.quickest.toFixed(2)} ms, ${few.messages} messages, ${few.bytes} bytes`,
  );
  // A count of none takes one message more.
  expect(many.messages).toBeLessThanOrEqual(few.messages);
  expect(many.bytes).toBeLessThan(1.2 * few.bytes);
  expect(many.quickest).toBeLessThan(2 * few.quickest + NOISE);
}

describeOn(["nats"], "Many jobs of NATS", () => {
  const start = owned(() => startNats());

  test("are counted with as much ado beside 100,000 dead as beside none", async () => {
    const server = await start();
    await using none = groundOn(server);
    await using many = groundOn(server);
    await made(none);
    const base = await made(many);
    await storeMany(server, DEAD, (n) => ({
      subject: deadSubject(base, "failed", `d${n}`, n.toString(36).padStart(12, "0")),
      relevo: JSON.stringify([`d${n}`, "work", "", { reason: "error", died: 1_700_000_000_000 + n }]),
    }));
    const [few, most] = await countsOf(server, [none.prefix, many.prefix]);
    expect([few?.info.failed, most?.info.failed]).toEqual([0, DEAD]);
    expectAsQuick(`${DEAD} dead`, few, most);
  }, PATIENCE);

  test(
    "are counted with as much ado beside 1,000,000 that wait, and the first of them is run within a second",
    async () => {
      const server = await start();
      await using none = groundOn(server);
      await using many = groundOn(server);
      await made(none);
      const base = await made(many);
      const begun = performance.now();
      await storeMany(server, WAITING, (n) => ({ subject: liveSubject(base, "w", `w${n}`) }));
      console.log(`${WAITING} messages were stored in ${Math.round(performance.now() - begun)} ms`);
      const [few, most] = await countsOf(server, [none.prefix, many.prefix]);
      expect([few?.info.waiting, most?.info.waiting]).toEqual([1, WAITING + 1]);
      expectAsQuick(`${WAITING} that wait`, few, most);
      const times: number[] = [];
      for (let starts = 0; starts < STARTS; starts++) times.push(await firstJob(many));
      console.log(
        `A worker that began beside ${WAITING} that wait had its first job after ${
          times.map((ms) => Math.round(ms)).join(", ")
        } ms`,
      );
      // A machine that is busy for a while delays some of them, whatever they cost.
      expect(Math.min(...times)).toBeLessThan(FIRST);
      const [one, beside] = [await quickestJob(none), await quickestJob(many)];
      console.log(`One job at a time: ${beside.toFixed(2)} ms beside them, ${one.toFixed(2)} ms beside none`);
      expect(beside).toBeLessThan(5 * one + 5 * NOISE);
    },
    PATIENCE,
  );
});

/** Milliseconds from making a relay, with a connection of its own, to the first job of its worker. */
async function firstJob(ground: Ground): Promise<number> {
  const begun = performance.now();
  const relay = ground.relay(jobs);
  const { promise: first, resolve } = Promise.withResolvers<number>();
  relay.handle("work", () => resolve(performance.now() - begun));
  const worker = running(relay, { concurrency: 1 });
  const took = await first;
  await worker.abort();
  return took;
}

/** Milliseconds of the quickest of some jobs that are pushed, reserved and settled one at a time. */
async function quickestJob(ground: Ground): Promise<number> {
  await using transport = nats({ servers: ground.server.url, prefix: ground.prefix, ackWait: 5_000 });
  let quickest = Infinity;
  for (let times = 0; times < TIMES; times++) {
    await transport.push([job({ queue: "work", name: "work", payload: bytes(1), meta: "" })], CALL);
    const begun = performance.now();
    const [held] = await transport.reserve(["work"], {
      limit: 1,
      slots: 1,
      lease: 5_000,
      wait: 5_000,
      ...CALL,
    });
    if (held === undefined) throw new Error("Wanted a delivery");
    await transport.settle([{ queue: "work", token: held.token, to: "done" }], CALL);
    quickest = Math.min(quickest, performance.now() - begun);
  }
  return quickest;
}
