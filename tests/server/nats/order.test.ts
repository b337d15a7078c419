/** Jobs come in their order, though answers of the server are late: what lies behind a late job is not handed over first. */
import { expect, test } from "vitest";
import type { ReserveOptions } from "../../../src/jobs/exchange.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { job } from "../../../src/testing/conformance/lab.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { openProxy, type Proxy as Line } from "../faults/support/proxy.ts";
import { becomes } from "../support/becomes.ts";
import { type NatsServer, startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { heldJobs, sleepyRuntime } from "./support.ts";

const CALL = { deadline: 60_000 };
const ACK_WAIT = 60_000;
/** A part of a lease behind which a job is not handed over any more, and goes back. */
const TOO_LATE = 0.8 * ACK_WAIT;
const LOOK: ReserveOptions = { limit: 10, slots: 10, lease: ACK_WAIT, wait: 0, ...CALL };
const PATIENCE = 120_000;
const QUEUE = "work";
const WAYS = ["url", "ws"] as const;

const IDS: readonly string[] = Array.from({ length: 30 }, (_, n) => `job-${n}-`);

/** A transport behind a line that can stall, which has looked at its queue once, and jobs that wait since then. */
interface Scene extends AsyncDisposable {
  readonly line: Line;
  readonly near: Transport;
  readonly far: Transport;
  readonly runtime: ReturnType<typeof sleepyRuntime>;
  /** How many jobs the server has handed over, as it says itself. */
  handed(): Promise<number>;
}

async function scene(server: NatsServer, way: (typeof WAYS)[number]): Promise<Scene> {
  const prefix = `order-${crypto.randomUUID()}`;
  const url = new URL(server[way]);
  const line = await openProxy(Number(url.port));
  const runtime = sleepyRuntime();
  const near = nats({ servers: server.url, prefix, ackWait: ACK_WAIT });
  const far = nats({
    servers: `${url.protocol}//127.0.0.1:${line.port}`,
    prefix,
    ackWait: ACK_WAIT,
    runtime,
  });
  expect(await far.reserve([QUEUE], LOOK)).toEqual([]);
  await near.push(IDS.map((id) => job({ id, queue: QUEUE })), CALL);
  return {
    line,
    near,
    far,
    runtime,
    async handed() {
      await using raw = await server.raw();
      const info = JSON.parse(await raw.request(`$JS.API.CONSUMER.INFO.${prefix}_${QUEUE}.relevo`));
      return info.num_ack_pending;
    },
    async [Symbol.asyncDispose]() {
      await far[Symbol.asyncDispose]();
      await near[Symbol.asyncDispose]();
      await line.close();
    },
  };
}

/** The ids that come, each with the leases that it lost. */
async function take(from: Transport, options: Partial<ReserveOptions> = {}): Promise<readonly string[]> {
  const found = await from.reserve([QUEUE], { ...LOOK, ...options });
  return found.map(({ id, lost }) => lost === 0 ? id : `${id} lost ${lost}`);
}

describeOn(["nats"], "Late answers of NATS", () => {
  const started = owned(() => startNats());

  test.concurrent(
    "jobs that come too late to be handed over are handed over before those behind them",
    async () => {
      await using at = await scene(await started(), "url");
      const goOn = at.line.stall(IDS[10]);
      // A server that falls silent in the middle of its answer leaves the call what came.
      expect(await take(at.far, { limit: 20, slots: 20 })).toEqual(IDS.slice(0, 10));
      at.runtime.sleepThrough(TOO_LATE);
      const second = take(at.far);
      goOn();
      expect(await second).toEqual(IDS.slice(10, 20));
      expect(await take(at.far)).toEqual(IDS.slice(20));
    },
    PATIENCE,
  );

  for (const way of WAYS) {
    for (const wait of [0, 10_000]) {
      test.concurrent(
        `what an aborted call leaves behind comes before what lies behind it (${way}, wait ${wait})`,
        async () => {
          await using at = await scene(await started(), way);
          const goOn = at.line.stall(IDS[0]);
          const stop = new AbortController();
          const first = take(at.far, { signal: stop.signal, wait });
          await becomes("ten jobs are on their way", async () => await at.handed() === 10);
          stop.abort(new Error("stop"));
          await expect(first).rejects.toThrow("stop");
          const second = take(at.far, { wait });
          goOn();
          const found = [...await second];
          while (found.length < IDS.length) found.push(...await take(at.far, { wait }));
          expect(found).toEqual(IDS);
        },
        PATIENCE,
      );
    }

    test.concurrent(
      `what an aborted call leaves behind goes back in its order, to no pull of that call (${way})`,
      async () => {
        await using at = await scene(await started(), way);
        const goOn = at.line.stall(IDS[0]);
        const stop = new AbortController();
        const first = take(at.far, { signal: stop.signal, wait: 10_000 });
        await becomes("ten jobs are on their way", async () => await at.handed() === 10);
        stop.abort(new Error("stop"));
        await expect(first).rejects.toThrow("stop");
        goOn();
        await becomes("all have gone back", async () => {
          const { waiting, reserved } = await at.near.info(QUEUE, CALL);
          return waiting === IDS.length && reserved === 0;
        });
        expect(await take(at.near, { limit: IDS.length, slots: IDS.length })).toEqual(IDS);
      },
      PATIENCE,
    );

    test.concurrent(
      `what was on its way to a transport that is closed comes before what lies behind it (${way})`,
      async () => {
        await using at = await scene(await started(), way);
        const goOn = at.line.stall(IDS[0]);
        const first = take(at.far);
        await becomes("ten jobs are on their way", async () => await at.handed() === 10);
        at.runtime.slowDown(20);
        const closed = at.far[Symbol.asyncDispose]();
        goOn();
        await expect(first).rejects.toMatchObject({ code: "TRANSPORT_CLOSED" });
        await closed;
        expect(await take(at.near, { limit: 30, slots: 30 })).toEqual(IDS);
      },
      PATIENCE,
    );
  }

  test.concurrent(
    "jobs that come behind the word that a pull is over are that pull's, in their order",
    async () => {
      const { url } = await started();
      const prefix = `order-${crypto.randomUUID()}`;
      await using near = nats({ servers: url, prefix });
      const large = new Uint8Array(200 * 1024);
      const ids = IDS.slice(0, 6);
      await near.push(ids.map((id) => job({ id, queue: QUEUE, payload: large })), CALL);
      const { connection, hold } = await heldJobs(url);
      await using far = nats({ connection, prefix });
      expect(await take(far, { limit: 1 })).toEqual(ids.slice(0, 1));
      const goOn = hold(1);
      const found = take(far);
      await using raw = await (await started()).raw();
      const info = `$JS.API.CONSUMER.INFO.${prefix}_${QUEUE}.relevo`;
      await becomes("two jobs are on their way", async () => {
        return JSON.parse(await raw.request(info)).num_ack_pending === 3;
      });
      // The word that the next would be too much has come before this answer.
      await far.info(QUEUE, CALL);
      goOn();
      expect(await found).toEqual(ids.slice(1, 3));
      const rest: string[] = [];
      while (rest.length < 3) rest.push(...await take(far));
      expect(rest).toEqual(ids.slice(3));
      await far[Symbol.asyncDispose]();
      await connection.close();
    },
    PATIENCE,
  );

  test.concurrent(
    "a call that waits gets the jobs that came for its first look, which was given up, before those behind them",
    async () => {
      const server = await started();
      const prefix = `order-${crypto.randomUUID()}`;
      await using near = nats({ servers: server.url, prefix, ackWait: ACK_WAIT });
      const ids = IDS.slice(0, 10);
      await near.push(ids.map((id) => job({ id, queue: QUEUE })), CALL);
      const { connection, hold } = await heldJobs(server.url, { several: true });
      await using far = nats({ connection, prefix, ackWait: ACK_WAIT });
      await far.info(QUEUE, CALL);
      // Behind the last no others wait, so that a call which gets it looks no further.
      const goOn = hold(9);
      const first = take(far, { wait: 20_000 });
      await using raw = await server.raw();
      let isOver = false;
      const waits = becomes("the call waits", async () => {
        const info = JSON.parse(await raw.request(`$JS.API.CONSUMER.INFO.${prefix}_${QUEUE}.relevo`));
        return isOver || info.num_waiting > 0;
      });
      await Promise.race([first, waits]);
      goOn();
      const found = [...await first];
      while (found.length < ids.length) found.push(...await take(far));
      expect(found).toEqual(ids);
      isOver = true;
      await waits;
      await far[Symbol.asyncDispose]();
      await connection.close();
    },
    PATIENCE,
  );
});
