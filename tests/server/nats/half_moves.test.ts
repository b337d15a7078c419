/** Processes that die between two writes of a move: the job is there once, and the next process finishes the move. */
import { expect } from "vitest";
import type { Delivery, Settlement } from "../../../src/jobs/exchange.ts";
import type { QueueInfo } from "../../../src/jobs/job.ts";
import { job } from "../../../src/testing/conformance/lab.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { becomes } from "../support/becomes.ts";
import { testByClock } from "../../web/support/real_clock.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { cutting } from "./support.ts";

const CALL = { deadline: 60_000 };
const ACK_WAIT = 500;
const TAKE = { limit: 10, slots: 10, lease: ACK_WAIT, wait: 0, ...CALL };
const QUEUE = "work";
const OWN = "orders@";
const PATIENCE = 120_000;
const NONE: QueueInfo = { waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0 };

type Ending = (held: Delivery) => Settlement;

const ENDINGS: Readonly<Record<string, readonly [ending: Ending, where: Partial<QueueInfo>]>> = {
  again: [({ queue, token }) => ({ queue, token, to: "again", meta: "m" }), { waiting: 1 }],
  "again with a delay": [
    ({ queue, token }) => ({ queue, token, to: "again", meta: "m", delay: 600_000 }),
    { delayed: 1 },
  ],
  failed: [({ queue, token }) => ({ queue, token, to: "failed", meta: "m", reason: "r" }), { failed: 1 }],
  timeout: [({ queue, token }) => ({ queue, token, to: "timeout", meta: "m", reason: "r" }), { timeout: 1 }],
  release: [({ queue, token }) => ({ queue, token, to: "release" }), { waiting: 1 }],
  done: [({ queue, token }) => ({ queue, token, to: "done" }), {}],
};

const isSuccessor = (subject: string): boolean => /\.work\.[jx]\./.test(subject);
const isAck = (subject: string): boolean => subject.startsWith("$JS.ACK.");

async function counts(transport: Transport, queue: string): Promise<QueueInfo> {
  const { oldest: _, ...rest } = await transport.info(queue, CALL);
  return rest;
}

/** What stands in the way of leases as short as these is no fault of the transport. */
const test = testByClock(ACK_WAIT / 4);

describeOn(["nats"], "Half a move on NATS", () => {
  const start = owned(() => startNats());

  async function ground() {
    const { url } = await start();
    const prefix = `half-${crypto.randomUUID()}`;
    const dying = await cutting(url, prefix, ACK_WAIT);
    return { prefix, next: nats({ servers: url, prefix, ackWait: ACK_WAIT }), dying };
  }

  /** A job under an id of its caller's, as one process has it in hand. */
  async function held() {
    const { next, dying } = await ground();
    await next.push([job({ id: "x", queue: QUEUE, idWindow: 60_000 })], CALL);
    const [delivery] = await dying.transport.reserve([QUEUE], TAKE);
    if (delivery === undefined) throw new Error("Wanted a delivery");
    return { next, dying, delivery };
  }

  for (const [form, [ending, where]] of Object.entries(ENDINGS)) {
    test.concurrent(
      `settled '${form}' behind its first write is finished, and the job is there once`,
      async () => {
        const { next, dying, delivery } = await held();
        await using _ = next;
        await dying.cut(() => dying.transport.settle([ending(delivery)], CALL), isAck);
        // Until the lease is over the predecessor counts as reserved.
        await next.reserve([QUEUE], { ...TAKE, limit: 1, slots: 0, wait: 2 * ACK_WAIT, lease: 1 });
        await next.reserve([QUEUE], { ...TAKE, slots: 10, wait: ACK_WAIT }).then((found) =>
          next.settle(found.map(({ queue, token }) => ({ queue, token, to: "release" })), CALL)
        );
        const wanted = JSON.stringify({ ...NONE, ...where });
        await becomes(
          `the counts are ${wanted}`,
          async () => JSON.stringify(await counts(next, QUEUE)) === wanted,
        );
        expect(await next.push([job({ id: "x", queue: QUEUE, idWindow: 0 })], CALL)).toEqual(["duplicate"]);
      },
      PATIENCE,
    );

    test.concurrent(`settled '${form}' before its first write comes back with one loss`, async () => {
      const { next, dying, delivery } = await held();
      await using _ = next;
      await dying.cut(
        () => dying.transport.settle([ending(delivery)], CALL),
        (subject) => isSuccessor(subject) || isAck(subject),
      );
      const [back] = await next.reserve([QUEUE], { ...TAKE, wait: 5 * ACK_WAIT });
      expect([back?.id, back?.lost]).toEqual(["x", 1]);
    }, PATIENCE);
  }

  test.concurrent(
    "an adoption behind its first write is finished: another program's entry is one job",
    async () => {
      const { prefix, next, dying } = await ground();
      await using _ = next;
      // No open pull of the other process is there to get the entry.
      await next.push([job({ queue: QUEUE, id: "first" })], CALL);
      const [first] = await dying.transport.reserve([QUEUE], TAKE);
      await dying.transport.settle([{ queue: QUEUE, token: first?.token ?? "", to: "done" }], CALL);
      await using client = await (await start()).raw();
      await client.request(`${prefix}.work.in.theirs`, "payload");
      await dying.cut(() => dying.transport.reserve([QUEUE], TAKE), isAck);
      const seen: Delivery[] = [];
      for (const end = Date.now() + 4 * ACK_WAIT; Date.now() < end;) {
        const found = await next.reserve([QUEUE], { ...TAKE, wait: ACK_WAIT, lease: 60_000 });
        await next.settle(found.map(({ queue, token }) => ({ queue, token, to: "done" })), CALL);
        seen.push(...found);
      }
      expect(seen.map(({ id, name }) => [id, name])).toEqual([[expect.stringMatching(/^#\d+$/), "work"]]);
      expect(await counts(next, QUEUE)).toEqual(NONE);
    },
    PATIENCE,
  );

  /** A dead job, and a process that dies while it reloads it. */
  async function halfReloaded(dies: (subject: string, data: string) => boolean): Promise<Transport> {
    const { next, dying, delivery } = await held();
    const { queue, token } = delivery;
    await dying.transport.settle([{ queue, token, to: "failed", meta: "m", reason: "r" }], CALL);
    await dying.cut(() => dying.transport.reload(QUEUE, "failed", "all", { ...CALL, reset: true }), dies);
    return next;
  }

  /** Message 0 is none: a reload asks so for its right to delete. */
  const isRemoval = (subject: string, data: string): boolean =>
    subject.includes("STREAM.MSG.DELETE") && !data.includes('"seq":0,');

  test.concurrent(
    "a reload behind its first write is finished by the next, and the job runs once",
    async () => {
      await using next = await halfReloaded(isRemoval);
      expect(await counts(next, QUEUE)).toEqual({ ...NONE, delayed: 1, failed: 1 });
      const answer = await next.reload(QUEUE, "failed", "all", { ...CALL, reset: true });
      expect(answer).toEqual({ reloaded: 1, taken: 0 });
      expect(await counts(next, QUEUE)).toEqual({ ...NONE, waiting: 1 });
      expect(await next.reload(QUEUE, "failed", "all", { ...CALL, reset: true })).toEqual({
        reloaded: 0,
        taken: 0,
      });
    },
    PATIENCE,
  );

  test.concurrent("a removal from the delayed leaves a job that a reload is bringing back", async () => {
    await using next = await halfReloaded(isRemoval);
    expect(await next.remove(QUEUE, "delayed", "all", CALL)).toBe(0);
    expect(await next.remove(QUEUE, "delayed", { ids: ["x"] }, CALL)).toBe(0);
  }, PATIENCE);

  for (
    const [where, dies] of [
      ["the removal of the dead job", (subject: string) => subject.includes(".work.j.w.")],
      [
        "its last but one write",
        ((seen) => (subject: string, data: string) => isRemoval(subject, data) && ++seen.count === 2)({
          count: 0,
        }),
      ],
    ] as const
  ) {
    test.concurrent(
      `a reload behind ${where} is finished by maintenance, and the job runs once`,
      async () => {
        await using next = await halfReloaded(dies);
        const ran: string[] = [];
        await becomes("nothing is left", async () => {
          const found = await next.reserve([QUEUE], { ...TAKE, wait: ACK_WAIT });
          ran.push(...found.map(({ id }) => id));
          await next.settle(found.map(({ queue, token }) => ({ queue, token, to: "done" })), CALL);
          return JSON.stringify(await counts(next, QUEUE)) === JSON.stringify(NONE);
        }, PATIENCE);
        expect(ran).toEqual(["x"]);
      },
      PATIENCE,
    );
  }

  test.concurrent("a topic's job is in all groups or in none, whenever its producer dies", async () => {
    const { next, dying } = await ground();
    await using _ = next;
    for (const group of ["a", "b", "c"]) await next.topics?.bind("orders", group, CALL);
    let sent = 0;
    // Of the window and three copies the second copy is never sent.
    await dying.cut(
      () => dying.transport.push([job({ queue: OWN, id: "x", idWindow: 60_000 })], CALL),
      (subject) => subject.includes(".j.") && ++sent === 3,
    );
    const groups = ["a", "b", "c"].map((group) => counts(next, `orders@${group}`));
    expect(await Promise.all(groups)).toEqual([NONE, NONE, NONE]);
    expect(await next.push([job({ queue: OWN, id: "x", idWindow: 60_000 })], CALL)).toEqual(["stored"]);
    for (const group of ["a", "b", "c"]) {
      expect(await counts(next, `orders@${group}`)).toEqual({ ...NONE, waiting: 1 });
    }
    expect(await next.push([job({ queue: OWN, id: "x", idWindow: 60_000 })], CALL)).toEqual(["duplicate"]);
  }, PATIENCE);

  test.concurrent("what a topic sends on behind its first write is there once", async () => {
    const { next, dying } = await ground();
    await using _ = next;
    await next.push([job({ queue: OWN, id: "x", idWindow: 60_000 })], CALL);
    await dying.cut(
      () => dying.transport.topics?.bind("orders", "a", CALL) ?? Promise.resolve(),
      (subject) => subject.includes("STREAM.MSG.DELETE"),
    );
    await next.topics?.bind("orders", "a", CALL);
    expect(await counts(next, "orders@a")).toEqual({ ...NONE, waiting: 1 });
    expect(await counts(next, OWN)).toEqual(NONE);
  }, PATIENCE);

  for (
    const forms of [["a tick's job", undefined], [
      "a tick's job under an id of its caller's",
      60_000,
    ]] as const
  ) {
    const [what, idWindow] = forms;
    test.concurrent(`${what} is pushed once, though its worker died before the answer`, async () => {
      const { next, dying } = await ground();
      await using _ = next;
      const tick = Date.now() - 1_000;
      const schedule = { queue: QUEUE, key: "k", tick, text: "{}", payload: new Uint8Array() };
      await next.schedules?.put(schedule, CALL);
      const due = job({ queue: QUEUE, id: "t", ...idWindow === undefined ? {} : { idWindow } });
      const advance = (transport: Transport): Promise<unknown> =>
        transport.schedules?.advance(QUEUE, "k", tick, tick + 60_000, due, CALL) ?? Promise.resolve();
      let sent = 0;
      await dying.cut(
        () => advance(dying.transport),
        (subject) => subject.includes(".work.") && ++sent === 2,
      );
      expect(await counts(next, QUEUE)).toEqual(NONE);
      expect(await advance(next)).toBe("pushed");
      expect(await advance(next)).toBe("stale");
      expect(await counts(next, QUEUE)).toEqual({ ...NONE, waiting: 1 });
    }, PATIENCE);
  }
});
