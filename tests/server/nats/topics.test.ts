/** What lies in a topic's own queue: who sends it on to the groups, and when. */
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import type { Delivery } from "../../../src/exchange.ts";
import { job } from "../../../src/testing/conformance/lab.ts";
import type { Transport } from "../../../src/transport.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { textOf } from "../../web/support/kit.ts";
import { becomes } from "../support/becomes.ts";
import { type NatsServer, startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { cutting, halting, type Letter, lettersIn, makeStream, sleepyRuntime } from "./support.ts";

const CALL = { deadline: 10_000 };
const PATIENCE = 30_000;
const ACK_WAIT = 10_000;
/** Milliseconds between two looks of who reserves. */
const PAUSE = 120_000;
const TAKE = { limit: 10, slots: 10, lease: ACK_WAIT, wait: 0, ...CALL };
/** Milliseconds for which what is on its way is left to who pushed it, and a little more. */
const YOUNG = 2_100;
/** A lease for which a server need not remember message ids for longer than so many milliseconds. */
const BRIEF = 300;
const MEMORY = 3_000;
const OWN = safe("orders@");

const isCopy = (subject: string): boolean => subject.includes(".w.") || subject.includes(".d.");
const isDeletion = (subject: string): boolean => subject.includes(".STREAM.MSG.DELETE.");

/** The name of a queue of a topic or a group behind the prefix. */
function safe(queue: string): string {
  return `${queue.replace("@", "_")}_${createHash("sha256").update(queue).digest("hex").slice(0, 8)}`;
}

/** Takes what there is of a group's queue out of it. */
async function take(transport: Transport, group: string): Promise<readonly Delivery[]> {
  const found = await transport.reserve([`orders@${group}`], TAKE);
  const done = found.map(({ queue, token }) => ({ queue, token, to: "done" as const }));
  expect(await transport.settle(done, CALL)).toEqual(done.map(() => "settled"));
  return found;
}

/** What waits in a queue, and what is delayed. */
async function counts(transport: Transport, queue: string): Promise<readonly number[]> {
  const { waiting, delayed } = await transport.info(queue, CALL);
  return [waiting, delayed];
}

/** What is on its way is not young any more. */
function age(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, YOUNG));
}

/** Nobody is there for so long that a server with a short memory forgets. */
function forget(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, MEMORY + 500));
}

describeOn(["nats"], `What lies in a topic on NATS`, () => {
  const start = owned(() => startNats());

  /** A store of its own; where leases are brief its streams have a memory as short. */
  async function ground(ackWait = ACK_WAIT) {
    const server = await start();
    const prefix = `topic-${crypto.randomUUID()}`;
    const options = { servers: server.url, prefix, ackWait };
    if (ackWait === BRIEF) {
      const settings = { duplicate_window: MEMORY * 1_000_000 };
      for (const name of [OWN, safe("orders@a")]) await makeStream(server, prefix, name, settings);
    }
    return { server, prefix, options };
  }

  /** The groups `a` and `b`, and who reserves from one of them and has looked after it. */
  async function bound() {
    const all = await ground();
    const runtime = sleepyRuntime();
    const binding = nats(all.options);
    const reserving = nats({ ...all.options, runtime });
    for (const group of ["a", "b"]) await binding.topics?.bind("orders", group, CALL);
    // The first reserve looks at once.
    expect(await take(reserving, "b")).toEqual([]);
    return {
      ...all,
      runtime,
      reserving,
      async [Symbol.asyncDispose]() {
        await binding[Symbol.asyncDispose]();
        await reserving[Symbol.asyncDispose]();
      },
    };
  }

  /** What is in the topic's own queue, but for what says which groups there are. */
  async function own(server: NatsServer, prefix: string): Promise<readonly Letter[]> {
    const base = `${prefix}.${OWN}.`;
    return (await lettersIn(server, `${prefix}_${OWN}`))
      .map((letter) => ({ ...letter, subject: letter.subject.slice(base.length) }))
      .filter(({ subject }) => !/^[gi]\./.test(subject));
  }

  /** Publishes as another program does; the message's number. */
  async function publish(server: NatsServer, prefix: string, text: string): Promise<string> {
    await using raw = await server.raw();
    return `${JSON.parse(await raw.request(`${prefix}.${OWN}.w.x`, text)).seq}`;
  }

  test.concurrent("what another program published goes to the groups when one is bound", async () => {
    const { server, prefix, options } = await ground();
    await using transport = nats(options);
    await transport.topics?.bind("orders", "a", CALL);
    const id = await publish(server, prefix, "raw");
    expect(await own(server, prefix)).toMatchObject([{ subject: "w.x" }]);
    await transport.topics?.bind("orders", "b", CALL);
    expect(await own(server, prefix)).toEqual([]);
    const [held, ...others] = await take(transport, "a");
    expect(others).toEqual([]);
    expect([held?.id, held?.name, held?.meta, textOf(held?.payload ?? new Uint8Array())])
      .toEqual([id, "orders", "", "raw"]);
    // It was there before this group was.
    expect(await take(transport, "b")).toEqual([]);
    expect(await own(server, prefix)).toEqual([]);
  }, PATIENCE);

  test.concurrent(
    "what another program published waits for a first group, and goes to it whole",
    async () => {
      const { server, prefix, options } = await ground();
      await using transport = nats(options);
      await transport.push([job({ queue: "orders@", id: "ours" })], CALL);
      const id = await publish(server, prefix, "raw");
      expect(await transport.info("orders@", CALL)).toMatchObject({ waiting: 2 });
      await transport.topics?.bind("orders", "a", CALL);
      expect((await take(transport, "a")).map((held) => held.id)).toEqual(["ours", id]);
      expect(await own(server, prefix)).toEqual([]);
    },
    PATIENCE,
  );

  test.concurrent(
    "what another program published goes to all groups by who reserves from one every other minute",
    async () => {
      await using all = await bound();
      const { server, prefix, runtime, reserving } = all;
      const id = await publish(server, prefix, "raw");
      for (let n = 0; n < 10; n++) expect(await take(reserving, "b")).toEqual([]);
      expect((await own(server, prefix)).map(({ subject }) => subject)).toEqual(["w.x"]);
      runtime.sleepThrough(PAUSE);
      const found: Delivery[] = [];
      await becomes("it comes", async () => {
        found.push(...await take(reserving, "b"));
        return found.length > 0;
      });
      found.push(...await take(reserving, "a"));
      expect(found.map((held) => [held.queue, held.id, held.name])).toEqual([
        ["orders@b", id, "orders"],
        ["orders@a", id, "orders"],
      ]);
      await becomes("it is gone", async () => (await own(server, prefix)).length === 0);
    },
    PATIENCE,
  );

  for (
    const [when, dies] of [["before its copies", isCopy], ["before it was deleted", isDeletion]] as const
  ) {
    test.concurrent(
      `what a process left on its way that died ${when} is sent on by who only reserves`,
      async () => {
        await using all = await bound();
        const { server, prefix, runtime, reserving } = all;
        const dying = await cutting(server.url, prefix, ACK_WAIT);
        await dying.cut(() => dying.transport.push([job({ queue: "orders@", id: "1" })], CALL), dies);
        expect((await own(server, prefix)).map(({ subject }) => subject)).toEqual(["p.1"]);
        await age();
        runtime.sleepThrough(PAUSE);
        const found: Delivery[] = [];
        await becomes("it was sent on", async () => {
          found.push(...await take(reserving, "b"));
          return (await own(server, prefix)).length === 0;
        });
        for (const group of ["b", "a"]) found.push(...await take(reserving, group));
        expect(found.map((held) => [held.queue, held.id])).toEqual([["orders@b", "1"], ["orders@a", "1"]]);
      },
      PATIENCE,
    );
  }

  /** A job that was on its way to the group `a` when its pusher died, and that group is gone by now. */
  async function orphaned(delay: number, ackWait?: number) {
    const all = await ground(ackWait);
    const { server, prefix, options } = all;
    const binding = nats(options);
    await binding.topics?.bind("orders", "a", CALL);
    const dying = await cutting(server.url, prefix, options.ackWait);
    const pushed = job({ queue: "orders@", id: "1", idWindow: 3_600_000, delay });
    await dying.cut(() => dying.transport.push([pushed], CALL), isCopy);
    expect(await binding.topics?.unbind("orders", "a", CALL)).toBe(true);
    await age();
    return { ...all, binding, pushed };
  }

  for (const [form, delay, line] of [["a job", 0, "w"], ["a delayed job", 60_000, "d"]] as const) {
    test.concurrent(
      `${form} on its way to groups that are gone waits for the next in its topic`,
      async () => {
        const { server, prefix, options, binding, pushed } = await orphaned(delay);
        await using _ = binding;
        const [onItsWay] = await own(server, prefix);
        const { seq = 0, relevo } = onItsWay ?? {};
        const [, , , { until = 0 }] = relevo as readonly [string, string, string, { until?: number }];
        await using reserving = nats(options);
        expect(await take(reserving, "a")).toEqual([]);
        await becomes("it is kept back", async () => {
          const [letter, ...others] = await own(server, prefix);
          return letter?.subject === `${line}.1` && others.length === 0;
        });
        const [kept] = await own(server, prefix);
        expect(kept).toMatchObject({
          relevo: ["1", pushed.name, pushed.meta, { until }],
          lines: { "Nats-Msg-Id": `t${seq}.1` },
          body: pushed.payload,
        });
        expect(await counts(binding, "orders@")).toEqual(delay === 0 ? [1, 0] : [0, 1]);
        expect(await take(reserving, "a")).toEqual([]);
        // Its id is taken still.
        expect(await binding.push([pushed], CALL)).toEqual(["duplicate"]);
        await binding.topics?.bind("orders", "b", CALL);
        expect(await counts(binding, "orders@b")).toEqual(delay === 0 ? [1, 0] : [0, 1]);
        expect(await binding.get("orders@b", ["1"], CALL)).toMatchObject([{ meta: pushed.meta }]);
        expect(await own(server, prefix)).toEqual([]);
      },
      PATIENCE,
    );
  }

  test.concurrent(
    "a job that was kept back by a process which died at that comes to the next group once",
    async () => {
      const { server, prefix, binding } = await orphaned(0);
      await using _ = binding;
      const keeping = await cutting(server.url, prefix, ACK_WAIT);
      await keeping.cut(() => take(keeping.transport, "a"), isDeletion);
      expect((await own(server, prefix)).map(({ subject }) => subject)).toEqual(["p.1", "w.1"]);
      await binding.topics?.bind("orders", "b", CALL);
      expect(await counts(binding, "orders@b")).toEqual([1, 0]);
      expect(await own(server, prefix)).toEqual([]);
    },
    PATIENCE,
  );

  test.concurrent("a job that is kept back while a group is being bound comes to it once", async () => {
    const { server, prefix, binding } = await orphaned(0);
    await using _ = binding;
    await using keeping = await halting(server.url, prefix, ACK_WAIT);
    const goOn = await keeping.halt(() => take(keeping.transport, "a"), isCopy);
    await binding.topics?.bind("orders", "b", CALL);
    expect(await counts(binding, "orders@b")).toEqual([1, 0]);
    expect(await own(server, prefix)).toEqual([]);
    await goOn();
    await becomes("it is kept back", async () => (await own(server, prefix)).length > 0);
    await binding.topics?.bind("orders", "b", CALL);
    expect(await counts(binding, "orders@b")).toEqual([1, 0]);
    expect(await own(server, prefix)).toEqual([]);
  }, PATIENCE);

  test.concurrent(
    "a job that was kept back longer ago than the server remembers is kept back once",
    async () => {
      const { server, prefix, options, binding } = await orphaned(0, BRIEF);
      await using _ = binding;
      const keeping = await cutting(server.url, prefix, BRIEF);
      await keeping.cut(() => take(keeping.transport, "a"), isDeletion);
      await forget();
      await using reserving = nats(options);
      expect(await take(reserving, "a")).toEqual([]);
      await becomes("it is kept back", async () => (await own(server, prefix)).length !== 2);
      expect((await own(server, prefix)).map(({ subject }) => subject)).toEqual(["w.1"]);
      await binding.topics?.bind("orders", "b", CALL);
      expect(await counts(binding, "orders@b")).toEqual([1, 0]);
    },
    PATIENCE,
  );

  test.concurrent(
    "a group that had its copy of a job which was kept back gets none when it is bound again",
    async () => {
      const { server, prefix, options } = await ground(BRIEF);
      await using binding = nats(options);
      for (const group of ["a", "b"]) await binding.topics?.bind("orders", group, CALL);
      expect(await binding.topics?.unbind("orders", "b", CALL)).toBe(true);
      const dying = await cutting(server.url, prefix, BRIEF);
      await dying.cut(() => dying.transport.push([job({ queue: "orders@", id: "1" })], CALL), isDeletion);
      expect(await binding.topics?.unbind("orders", "a", CALL)).toBe(true);
      await forget();
      await using reserving = nats(options);
      expect(await take(reserving, "b")).toEqual([]);
      await becomes("it is kept back", async () => {
        const [letter, ...others] = await own(server, prefix);
        return letter?.subject === "w.1" && others.length === 0;
      });
      await binding.topics?.bind("orders", "a", CALL);
      expect(await counts(binding, "orders@a")).toEqual([1, 0]);
      expect(await own(server, prefix)).toEqual([]);
    },
    PATIENCE,
  );
});
