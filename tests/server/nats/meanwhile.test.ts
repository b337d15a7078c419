/** What two calls make of one job at the same time, and calls that are ended before they have begun. */
import { expect, test } from "vitest";
import type { Delivery } from "../../../src/jobs/exchange.ts";
import { job } from "../../../src/testing/conformance/lab.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { connect } from "@nats-io/transport-node";
import { nats, type NatsConnection } from "../../../src/transports/nats/mod.ts";
import { openProxy } from "../faults/support/proxy.ts";
import { type NatsServer, startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { watchedRuntime } from "../support/watched.ts";
import { halting } from "./support.ts";

const CALL = { deadline: 60_000 };
const ACK_WAIT = 10_000;
const QUEUE = "work";
const TAKE = { limit: 10, slots: 10, lease: ACK_WAIT, wait: 0, ...CALL };

function ground(server: NatsServer) {
  const prefix = `meanwhile-${crypto.randomUUID()}`;
  const options = { servers: server.url, prefix, ackWait: ACK_WAIT };
  return { prefix, options };
}

async function liveOnes(transport: Transport): Promise<number> {
  const { waiting, delayed, reserved } = await transport.info(QUEUE, CALL);
  return waiting + delayed + reserved;
}

describeOn(["nats"], "At the same time on NATS", () => {
  const start = owned(() => startNats());

  test.concurrent(
    "a waiting job that is handed over while it is removed comes back to life in no way",
    async () => {
      const server = await start();
      const { prefix, options } = ground(server);
      await using operator = await halting(server.url, prefix, ACK_WAIT);
      await using worker = nats(options);
      await worker.push([job({ id: "1", queue: QUEUE })], CALL);
      const goOn = await operator.halt(
        () => operator.transport.remove(QUEUE, "waiting", "all", CALL),
        (subject) => subject.includes("STREAM.MSG.DELETE"),
      );
      const [held] = await worker.reserve([QUEUE], TAKE);
      if (held === undefined) throw new Error("Wanted a delivery");
      const { queue, token } = held;
      const removed = await goOn();
      const again = await worker.settle([{ queue, token, to: "again", meta: "m" }], CALL);
      expect([removed, again, await liveOnes(worker)]).toEqual([1, ["stale"], 0]);
    },
    120_000,
  );

  test.concurrent(
    "a process whose reserve was aborted takes no job that is pushed later: all are removed that wait",
    async () => {
      const server = await start();
      const { prefix, options } = ground(server);
      const other = await connect({ servers: `127.0.0.1:${server.port}` });
      const asked = other.subscribe("$JS.API.CONSUMER.MSG.NEXT.>");
      await other.flush();
      await using transport = nats(options);
      const stop = new AbortController();
      const reason = new Error("stop");
      const waiting = transport.reserve([QUEUE], { ...TAKE, wait: 60_000, signal: stop.signal });
      waiting.catch(() => {});
      let open = 0;
      for await (const message of asked) {
        if (message.subject.includes(prefix) && message.string().includes("expires")) open++;
        if (open === 2) break;
      }
      stop.abort(reason);
      await expect(waiting).rejects.toBe(reason);
      await transport.push([job({ id: "1", queue: QUEUE }), job({ id: "2", queue: QUEUE })], CALL);
      expect(await transport.info(QUEUE, CALL)).toMatchObject({ waiting: 2, reserved: 0 });
      expect(await transport.remove(QUEUE, "waiting", "all", CALL)).toBe(2);
      expect(await liveOnes(transport)).toBe(0);
      await other.close();
    },
    120_000,
  );

  test.concurrent("jobs that ended before they could be removed are not counted as removed", async () => {
    const server = await start();
    const { prefix, options } = ground(server);
    await using operator = await halting(server.url, prefix, ACK_WAIT);
    await using worker = nats(options);
    await worker.push([job({ id: "1", queue: QUEUE }), job({ id: "2", queue: QUEUE })], CALL);
    const goOn = await operator.halt(
      () => operator.transport.remove(QUEUE, "waiting", "all", CALL),
      (subject) => subject.includes("STREAM.MSG.DELETE"),
    );
    const [done, moved] = await worker.reserve([QUEUE], TAKE);
    if (done === undefined || moved === undefined) throw new Error("Wanted two deliveries");
    await worker.settle([
      { queue: QUEUE, token: done.token, to: "done" },
      { queue: QUEUE, token: moved.token, to: "again", meta: "m", delay: 60_000 },
    ], CALL);
    expect([await goOn(), await liveOnes(worker)]).toEqual([0, 1]);
  }, 120_000);

  test.concurrent(
    "a settlement that is sent again behind another's taking the job back is stale",
    async () => {
      const server = await start();
      const { prefix, options } = ground(server);
      const ackWait = 600;
      // In a cluster what bears a message id is sent again after a second without an answer.
      const real = await connect({ servers: server.url });
      let lost = false;
      const taken: Delivery[] = [];
      const connection: NatsConnection = new Proxy(real, {
        get(target, key) {
          const value: unknown = Reflect.get(target, key);
          if (key === "info") return { ...target.info, cluster: "c" };
          if (key !== "publish") return typeof value === "function" ? value.bind(target) : value;
          return (...parts: Parameters<typeof real.publish>) => {
            if (taken.length > 0 || !parts[0].includes(".j.d.")) return target.publish(...parts);
            lost = true;
          };
        },
      });
      await using slow = nats({ connection, prefix, ackWait });
      await using next = nats({ ...options, ackWait });
      await slow.push([job({ id: "1", queue: QUEUE })], CALL);
      const [held] = await slow.reserve([QUEUE], { ...TAKE, lease: ackWait });
      if (held === undefined) throw new Error("Wanted a delivery");
      const { queue, token } = held;
      const settled = slow.settle([{ queue, token, to: "again", meta: "m", delay: 60_000 }], CALL);
      taken.push(...await next.reserve([QUEUE], { ...TAKE, lease: 60_000, wait: 5_000 }));
      expect([lost, ...taken.map(({ id, lost }) => [id, lost])]).toEqual([true, ["1", 1]]);
      expect(await settled).toEqual(["stale"]);
      await slow[Symbol.asyncDispose]();
      await real.close();
    },
    120_000,
  );

  test.concurrent(
    "who looks gets all that came back meanwhile, not only what went to who waits",
    async () => {
      const server = await start();
      for (let slow = true; slow;) {
        const { prefix, options } = ground(server);
        await using looking = await halting(server.url, prefix, ACK_WAIT);
        await using other = nats(options);
        await other.push(["1", "2", "3"].map((id) => job({ id, queue: QUEUE })), CALL);
        const held = await other.reserve([QUEUE], TAKE);
        // From now on it waits for whatever comes back, one job at a time.
        await looking.transport.reserve([QUEUE], { ...TAKE, wait: 1 });
        const goOn = await looking.halt(
          () => looking.transport.reserve([QUEUE], TAKE),
          (subject) => /MSG\.NEXT\..+\.relevo$/.test(subject),
        );
        const begun = performance.now();
        const back = held.map(({ queue, token }) => ({ queue, token, to: "release" as const }));
        expect(await other.settle(back, CALL)).toEqual(["settled", "settled", "settled"]);
        await looking.transport.info(QUEUE, CALL);
        const found = (await goOn()).map(({ id }) => id);
        // What came for nobody goes back to the end of its line after a quarter of a second.
        slow = performance.now() - begun > 200;
        if (!slow) expect(found).toEqual(["1", "2", "3"]);
      }
    },
    120_000,
  );
});

describeOn(["nats"], "A transport whose server is gone", () => {
  const start = owned(() => startNats());

  test("ends a reserve that is aborted at once, with the reason", async () => {
    const server = await start();
    const { options } = ground(server);
    await using transport = nats(options);
    await transport.push([job({ id: "1", queue: QUEUE })], CALL);
    await server.kill();
    // What is lost is heard of by a call that fails.
    await expect(transport.info(QUEUE, { deadline: 500 })).rejects.toThrow();
    const stop = new AbortController();
    const reason = new Error("stop");
    const begun = performance.now();
    const reserved = transport.reserve([QUEUE], { ...TAKE, wait: 60_000, signal: stop.signal });
    setTimeout(() => stop.abort(reason), 100);
    await expect(reserved).rejects.toBe(reason);
    expect(performance.now() - begun).toBeLessThan(30_000);
    await server.start();
  }, 120_000);

  test("of a cluster asks the next, though the client knows of none while it dials", async () => {
    const server = await start();
    const { prefix, options } = ground(server);
    const proxy = await openProxy(server.port);
    const real = await connect({ servers: `127.0.0.1:${proxy.port}`, reconnectTimeWait: 500 });
    let dialing = false;
    const connection: NatsConnection = new Proxy(real, {
      get(target, key) {
        if (key === "info") return dialing ? undefined : { ...target.info, cluster: "c" };
        const value: unknown = Reflect.get(target, key);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    await using transport = nats({ ...options, servers: undefined, connection, prefix });
    await transport.push([job({ id: "1", queue: QUEUE })], CALL);
    const [held] = await transport.reserve([QUEUE], TAKE);
    if (held === undefined) throw new Error("Wanted a delivery");
    proxy.mute();
    const { queue, token } = held;
    const settled = transport.settle([{ queue, token, to: "done" }], CALL);
    await proxy.swallowed();
    dialing = true;
    proxy.cut();
    // As soon as it dials it has heard of the cut.
    setTimeout(() => dialing = false, 250);
    expect(await settled).toEqual(["settled"]);
    await transport[Symbol.asyncDispose]();
    await real.close();
    await proxy.close();
  }, 120_000);

  test("leaves no timer behind when it is closed, for a job that came for nobody", async () => {
    const server = await start();
    const { prefix, options } = ground(server);
    const runtime = watchedRuntime();
    const transport = nats({ ...options, runtime });
    await using raw = await server.raw();
    const consumer = async (): Promise<
      { readonly num_waiting: number; readonly delivered: { readonly consumer_seq: number } }
    > => JSON.parse(await raw.request(`$JS.API.CONSUMER.INFO.${prefix}_${QUEUE}.relevo`));
    // Its pull stays open behind it.
    expect(await transport.reserve([QUEUE], { ...TAKE, wait: 100 })).toEqual([]);
    expect((await consumer()).num_waiting).toBe(1);
    await using pushing = nats(options);
    await pushing.push([job({ id: "1", queue: QUEUE })], CALL);
    await expect.poll(async () => (await consumer()).delivered.consumer_seq, { interval: 5 }).toBe(1);
    await server.kill();
    await transport[Symbol.asyncDispose]();
    await expect.poll(() => runtime.sleepers).toBe(0);
    // A timer that is set anew each time it rings is there at any moment.
    for (let looks = 0; looks < 20; looks++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(runtime.sleepers).toBe(0);
    }
  }, 120_000);
});
