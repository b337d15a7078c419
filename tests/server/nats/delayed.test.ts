/** Delayed jobs: who holds them until they are due, and what becomes of them when that one is gone. */
import { expect, test } from "vitest";
import { job } from "../../../src/testing/conformance/lab.ts";
import type { Transport } from "../../../src/transport.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { type NatsServer, startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { cutting } from "./support.ts";

const CALL = { deadline: 10_000 };
const ACK_WAIT = 30_000;
const QUEUE = "work";
const DELAY = 1_500;
/** Milliseconds after its time at which a job whose holder is gone comes to another, and what a busy machine adds. */
const GRACE = 5_000;
const SLACK = 4_000;
/** More than all of these together. */
const LATEST = 30_000;

type Line = "relevo" | "relevo_delayed";
interface Consumer {
  readonly num_ack_pending: number;
  readonly num_pending: number;
  readonly num_redelivered: number;
}

/** Waits until a consumer is as wanted. */
async function until(
  server: NatsServer,
  prefix: string,
  line: Line,
  wanted: (consumer: Consumer) => boolean,
): Promise<Consumer> {
  await using raw = await server.raw();
  for (;;) {
    const consumer: Consumer = JSON.parse(
      await raw.request(`$JS.API.CONSUMER.INFO.${prefix}_${QUEUE}.${line}`),
    );
    if (wanted(consumer)) return consumer;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const isRead = ({ num_ack_pending }: Consumer): boolean => num_ack_pending > 0;

/** Waits for one job; how late it came. */
async function lateness(transport: Transport, wait = LATEST): Promise<number | undefined> {
  const options = { limit: 1, slots: 1, lease: ACK_WAIT, wait, ...CALL };
  const [delivery] = await transport.reserve([QUEUE], options);
  return delivery === undefined ? undefined : Date.now() - delivery.due;
}

describeOn(["nats"], `Delayed jobs on NATS`, () => {
  const start = owned(() => startNats());

  async function ground() {
    const server = await start();
    const prefix = `late-${crypto.randomUUID()}`;
    const options = { servers: server.url, prefix, ackWait: ACK_WAIT };
    return { server, prefix, options };
  }

  test.concurrent("one whose holder died comes to another within seconds of its time", async () => {
    const { server, prefix, options } = await ground();
    const dying = await cutting(server.url, prefix, ACK_WAIT);
    await using next = nats(options);
    await next.push([job({ id: "1", queue: QUEUE, delay: DELAY })], CALL);
    // Whoever counts reads what nobody has read; it dies with the next message that it sends, which moves the job.
    await dying.transport.info(QUEUE, CALL);
    await until(server, prefix, "relevo_delayed", isRead);
    await dying.cut(() => Promise.resolve(), (subject) => subject.includes(".w."));
    const late = await lateness(next);
    expect(late).toBeGreaterThanOrEqual(0);
    expect(late).toBeLessThan(GRACE + SLACK);
  }, 60_000);

  test.concurrent("one whose holder is closed comes to another in time", async () => {
    const { server, prefix, options } = await ground();
    const leaving = nats(options);
    await using next = nats(options);
    await next.push([job({ id: "1", queue: QUEUE, delay: DELAY })], CALL);
    await leaving.info(QUEUE, CALL);
    await until(server, prefix, "relevo_delayed", isRead);
    await leaving[Symbol.asyncDispose]();
    const late = await lateness(next);
    expect(late).toBeGreaterThanOrEqual(0);
    expect(late).toBeLessThan(GRACE - 1_000);
  }, 60_000);

  test.concurrent("one that is removed while another holds it never runs", async () => {
    const { server, prefix, options } = await ground();
    await using holder = nats(options);
    await using operator = nats(options);
    await operator.push([job({ id: "1", queue: QUEUE, delay: DELAY })], CALL);
    await holder.info(QUEUE, CALL);
    await until(server, prefix, "relevo_delayed", isRead);
    expect(await operator.remove(QUEUE, "delayed", { ids: ["1"] }, CALL)).toBe(1);
    expect(await lateness(holder, 2 * DELAY)).toBeUndefined();
  }, 60_000);

  test.concurrent("one that is due later is held by nobody, and brought back before its time", async () => {
    const { server, prefix, options } = await ground();
    await using holder = nats(options);
    await using operator = nats(options);
    await operator.push([job({ id: "1", queue: QUEUE, delay: 41_000 })], CALL);
    const waiting = lateness(holder, 15_000);
    await until(server, prefix, "relevo_delayed", ({ num_redelivered }) => num_redelivered > 0);
    expect(await operator.info(QUEUE, CALL)).toMatchObject({ waiting: 0, delayed: 1 });
    expect(await waiting).toBeUndefined();
  }, 60_000);

  test("those that are due together are handed over in order to who asks every moment", async () => {
    const { options } = await ground();
    await using transport = nats(options);
    const rounds = 40;
    const at = Date.now() + 1_000;
    const ids = Array.from({ length: 3 * rounds }, (_, n) => `${n}`);
    await transport.push(
      ids.map((id, n) => job({ id, queue: QUEUE, at: at + 50 * Math.floor(n / 3) })),
      CALL,
    );
    const seen: string[] = [];
    while (seen.length < ids.length) {
      const options = { limit: 1, slots: 1, lease: ACK_WAIT, wait: 2, ...CALL };
      for (const { id, token } of await transport.reserve([QUEUE], options)) {
        seen.push(id);
        await transport.settle([{ queue: QUEUE, token, to: "done" }], CALL);
      }
    }
    expect(seen).toEqual(ids);
  }, 60_000);

  test(
    "many that are due at once and that nobody has read are counted, and shown by id, as waiting",
    async () => {
      const { options } = await ground();
      await using operator = nats(options);
      const ids = Array.from({ length: 5_000 }, (_, n) => `${n}`);
      const at = Date.now() + 2_000;
      await operator.push(ids.map((id) => job({ id, queue: QUEUE, at })), CALL);
      await new Promise((resolve) => setTimeout(resolve, at + 50 - Date.now()));
      const { waiting, delayed } = await operator.info(QUEUE, CALL);
      expect([waiting, delayed]).toEqual([ids.length, 0]);
      const shown = await operator.get(QUEUE, ids.slice(-100), CALL);
      expect(new Set(shown.map((entry) => entry?.channel))).toEqual(new Set(["waiting"]));
    },
    60_000,
  );
});
