/** What stands where when a move is cut between its two writes, and what becomes of it. */
import { expect, test } from "vitest";
import type { Delivery, Settlement } from "../../../src/exchange.ts";
import { job } from "../../../src/testing/conformance/lab.ts";
import type { Transport } from "../../../src/transport.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { startNats } from "../support/servers/nats.ts";
import { cutting } from "./support.ts";

const CALL = { deadline: 10_000 };
const ACK_WAIT = 400;
const LEASE = 60_000;
const QUEUE = "work";

const ENDINGS: Readonly<Record<string, (held: Delivery) => Settlement>> = {
  again: ({ queue, token }) => ({ queue, token, to: "again", meta: "next" }),
  "again with a delay": ({ queue, token }) => ({ queue, token, to: "again", meta: "next", delay: 300 }),
  failed: ({ queue, token }) => ({ queue, token, to: "failed", meta: "next", reason: "r" }),
  timeout: ({ queue, token }) => ({ queue, token, to: "timeout", meta: "next", reason: "r" }),
  release: ({ queue, token }) => ({ queue, token, to: "release" }),
};

async function take(transport: Transport, wait = 0): Promise<readonly Delivery[]> {
  return await transport.reserve([QUEUE], { limit: 10, slots: 10, lease: LEASE, wait, ...CALL });
}

/** All jobs of a queue, dead ones too, when what was cut has been found and finished. */
async function total(transport: Transport): Promise<number> {
  const { waiting, delayed, reserved, failed, timeout } = await transport.info(QUEUE, CALL);
  return waiting + delayed + reserved + failed + timeout;
}

describeOn(["nats29"], "A move that was cut between its writes", () => {
  const server = owned(() => startNats());

  for (const [form, ending] of Object.entries(ENDINGS)) {
    test(`'${form}' is finished by whoever finds it: one job`, async () => {
      const prefix = `cut-${crypto.randomUUID()}`;
      const dying = await cutting((await server()).url, prefix, ACK_WAIT);
      await using next = nats({ servers: (await server()).url, prefix, ackWait: ACK_WAIT });
      await dying.transport.push([job({ id: "1", queue: QUEUE })], CALL);
      const [held] = await take(dying.transport);
      if (held === undefined) throw new Error("Wanted a delivery");
      await dying.cut(() => dying.transport.settle([ending(held)], CALL));
      const found: Delivery[] = [];
      const end = performance.now() + 2_000;
      while (performance.now() < end) found.push(...await take(next, 200));
      expect(await total(next)).toBe(1);
      const [stored] = await next.get(QUEUE, ["1"], CALL);
      expect(stored?.meta).toBe(form === "release" ? held.meta : "next");
      const runs = form === "failed" || form === "timeout" ? 0 : 1;
      expect(found.map(({ id, lost }) => [id, lost])).toEqual(Array.from({ length: runs }, () => ["1", 0]));
    }, 20_000);
  }

  test("a due job that was moved to the others and not acknowledged runs once", async () => {
    const prefix = `cut-${crypto.randomUUID()}`;
    const dying = await cutting((await server()).url, prefix, ACK_WAIT);
    await using next = nats({ servers: (await server()).url, prefix, ackWait: ACK_WAIT });
    await dying.transport.push([job({ id: "1", queue: QUEUE, delay: 100 })], CALL);
    await new Promise((resolve) => setTimeout(resolve, 150));
    // Counting moves what is due.
    await dying.cut(() => dying.transport.info(QUEUE, CALL));
    const found: Delivery[] = [];
    const end = performance.now() + 2_000;
    while (performance.now() < end) found.push(...await take(next, 200));
    expect(found.map(({ id, lost }) => [id, lost])).toEqual([["1", 0]]);
    expect(await total(next)).toBe(1);
  }, 20_000);

  test("a job that was taken back from a lost lease and not acknowledged comes once", async () => {
    const prefix = `cut-${crypto.randomUUID()}`;
    const url = (await server()).url;
    const dying = await cutting(url, prefix, ACK_WAIT);
    await using next = nats({ servers: url, prefix, ackWait: ACK_WAIT });
    await dying.transport.push([job({ id: "1", queue: QUEUE })], CALL);
    const call = { limit: 1, slots: 1, wait: 0, ...CALL };
    expect(await next.reserve([QUEUE], { ...call, lease: ACK_WAIT })).toHaveLength(1);
    await new Promise((resolve) => setTimeout(resolve, ACK_WAIT + 100));
    await dying.cut(() => dying.transport.reserve([QUEUE], { ...call, slots: 0, lease: LEASE }));
    const found: Delivery[] = [];
    const end = performance.now() + 2_000;
    while (performance.now() < end) found.push(...await take(next, 200));
    expect(found.map(({ id, lost }) => [id, lost])).toEqual([["1", 1]]);
    expect(await total(next)).toBe(1);
  }, 20_000);

  test("a job of a topic that was stored and not sent on reaches every group once", async () => {
    const prefix = `cut-${crypto.randomUUID()}`;
    const url = (await server()).url;
    const dying = await cutting(url, prefix, ACK_WAIT);
    await using next = nats({ servers: url, prefix, ackWait: ACK_WAIT });
    for (const group of ["a", "b"]) await next.topics?.bind("orders", group, CALL);
    // The copy of one group is stored, the deletion from the topic is not carried out.
    await dying.cut(
      () => dying.transport.push([job({ id: "1", queue: "orders@" })], CALL),
      (subject) => subject.includes(".STREAM.MSG.DELETE."),
    );
    await new Promise((resolve) => setTimeout(resolve, 2_100));
    await next.topics?.bind("orders", "a", CALL);
    for (const queue of ["orders@a", "orders@b"]) {
      const found = await next.reserve([queue], { limit: 9, slots: 9, lease: LEASE, wait: 0, ...CALL });
      expect(found.map(({ id }) => id)).toEqual(["1"]);
    }
    expect((await next.info("orders@", CALL)).waiting).toBe(0);
  }, 20_000);
});
