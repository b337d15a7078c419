/** What two calls make of one job at the same time, and calls that are ended before they have begun. */
import { expect, test } from "vitest";
import type { PushJob } from "../../../src/exchange.ts";
import { job } from "../../../src/testing/conformance/lab.ts";
import type { Transport } from "../../../src/transport.ts";
import { connect } from "@nats-io/transport-node";
import { nats, type NatsConnection } from "../../../src/transports/nats/mod.ts";
import { openProxy } from "../faults/support/proxy.ts";
import { becomes } from "../support/becomes.ts";
import { type NatsServer, startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { watchedRuntime } from "../support/watched.ts";
import { cutting, halting, sleepyRuntime } from "./support.ts";

const CALL = { deadline: 10_000 };
const ACK_WAIT = 10_000;
const QUEUE = "work";
const X = job({ id: "x", queue: QUEUE, idWindow: 0 });
const TAKE = { limit: 10, slots: 10, lease: ACK_WAIT, wait: 0, ...CALL };

function ground(server: NatsServer) {
  const prefix = `meanwhile-${crypto.randomUUID()}`;
  const options = { servers: server.url, prefix, ackWait: ACK_WAIT };
  return { prefix, options };
}

async function bury(transport: Transport, id: string, payload = new Uint8Array()): Promise<void> {
  await transport.push([job({ id, queue: QUEUE, payload, idWindow: 0 })], CALL);
  await kill(transport);
}

/** Lets the next job fail for good. */
async function kill(transport: Transport): Promise<void> {
  const [held] = await transport.reserve([QUEUE], TAKE);
  if (held === undefined) throw new Error("Wanted a delivery");
  const { queue, token } = held;
  await transport.settle([{ queue, token, to: "failed", meta: "m", reason: "r" }], CALL);
}

async function liveOnes(transport: Transport): Promise<number> {
  const { waiting, delayed, reserved } = await transport.info(QUEUE, CALL);
  return waiting + delayed + reserved;
}

describeOn(["nats"], "At the same time on NATS", () => {
  const start = owned(() => startNats());

  /** A dead job whose reload was cut before a message: the process is gone, and another is there that may sleep. */
  async function halfReloaded(pushed: PushJob, before: string, reset = false) {
    const server = await start();
    const { prefix, options } = ground(server);
    const operator = await cutting(server.url, prefix, ACK_WAIT);
    const runtime = sleepyRuntime();
    const next = nats({ ...options, runtime });
    await next.push([pushed], CALL);
    await kill(next);
    await operator.cut(
      () => operator.transport.reload(QUEUE, "failed", "all", { ...CALL, reset }),
      (subject) => subject.includes(before),
    );
    return { options, runtime, next, [Symbol.asyncDispose]: () => next[Symbol.asyncDispose]() };
  }

  test.concurrent("a job that is being pushed keeps the dead one of its id where it is", async () => {
    const server = await start();
    const { prefix, options } = ground(server);
    await using pushing = await halting(server.url, prefix, ACK_WAIT);
    await using operator = nats(options);
    await bury(operator, "x");
    const goOn = await pushing.halt(
      () => pushing.transport.push([job({ id: "x", queue: QUEUE, idWindow: 0 })], CALL),
      (subject) => subject.includes(".w.x"),
    );
    const call = { ...CALL, reset: false };
    expect(await operator.reload(QUEUE, "failed", "all", call)).toEqual({ reloaded: 0, taken: 1 });
    expect(await goOn()).toEqual(["stored"]);
    expect(await liveOnes(operator)).toBe(1);
  }, 30_000);

  test.concurrent("a dead job that is being reloaded keeps its id from others", async () => {
    const server = await start();
    const { prefix, options } = ground(server);
    await using operator = await halting(server.url, prefix, ACK_WAIT);
    await using pushing = nats(options);
    await bury(pushing, "x");
    const call = { ...CALL, reset: false };
    const goOn = await operator.halt(
      () => operator.transport.reload(QUEUE, "failed", "all", call),
      (subject) => subject.includes(".w.x"),
    );
    expect(await pushing.push([job({ id: "x", queue: QUEUE, idWindow: 0 })], CALL)).toEqual(["duplicate"]);
    expect(await pushing.reload(QUEUE, "failed", "all", call)).toEqual({ reloaded: 0, taken: 1 });
    expect(await goOn()).toEqual({ reloaded: 1, taken: 0 });
    expect(await liveOnes(pushing)).toBe(1);
    expect(await pushing.info(QUEUE, CALL)).toMatchObject({ failed: 0 });
  }, 30_000);

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
    30_000,
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
  }, 30_000);

  test.concurrent("jobs that were handed over before their turn to be removed stay", async () => {
    const server = await start();
    const { prefix, options } = ground(server);
    await using operator = await halting(server.url, prefix, ACK_WAIT);
    await using worker = nats(options);
    const ids = Array.from({ length: 300 }, (_, n) => `${n}`);
    await worker.push(ids.map((id) => job({ id, queue: QUEUE })), CALL);
    // The first page is under way; the second is looked at when that is through.
    const goOn = await operator.halt(
      () => operator.transport.remove(QUEUE, "waiting", "all", CALL),
      (subject) => subject.includes("STREAM.MSG.DELETE"),
    );
    const held = await worker.reserve([QUEUE], { ...TAKE, limit: 500, slots: 500 });
    const removed = await goOn();
    const late = held.filter(({ id }) => Number(id) >= 256);
    expect(removed).toBe(ids.length - late.length);
    const done = late.map(({ queue, token }) => ({ queue, token, to: "again" as const, meta: "m" }));
    expect(new Set(await worker.settle(done, CALL))).toEqual(new Set(["settled"]));
    expect(await liveOnes(worker)).toBe(late.length);
  }, 30_000);

  test.concurrent("jobs that wait are removed from a stream in which there is no room", async () => {
    const server = await start();
    const { prefix, options } = ground(server);
    await using operator = nats(options);
    await operator.push(["1", "2", "3"].map((id) => job({ id, queue: QUEUE })), CALL);
    await using raw = await server.raw();
    const { config, state } = JSON.parse(await raw.request(`$JS.API.STREAM.INFO.${prefix}_${QUEUE}`));
    const full = { ...config, max_msgs: state.messages };
    await raw.request(`$JS.API.STREAM.UPDATE.${prefix}_${QUEUE}`, JSON.stringify(full));
    expect(await operator.push([job({ id: "late", queue: QUEUE })], CALL))
      .toMatchObject([{ code: "TRANSPORT_FULL" }]);
    expect(await operator.remove(QUEUE, "waiting", "all", CALL)).toBe(3);
    expect(await liveOnes(operator)).toBe(0);
  }, 30_000);

  test.concurrent("a dead job that could not be reloaded leaves its id to others at once", async () => {
    const server = await start();
    const { prefix, options } = ground(server);
    await using operator = await halting(server.url, prefix, ACK_WAIT);
    await using pushing = nats(options);
    await bury(pushing, "x", new Uint8Array(10_000));
    await using raw = await server.raw();
    const stream = `${prefix}_${QUEUE}`;
    const { config } = JSON.parse(await raw.request(`$JS.API.STREAM.INFO.${stream}`));
    const goOn = await operator.halt(
      () => operator.transport.reload(QUEUE, "failed", "all", { ...CALL, reset: false }),
      (subject) => subject.includes(".w.x"),
    );
    const small = { ...config, max_msg_size: 1_000 };
    await raw.request(`$JS.API.STREAM.UPDATE.${stream}`, JSON.stringify(small));
    await expect(goOn()).rejects.toMatchObject({ code: "TRANSPORT_INCOMPATIBLE" });
    await raw.request(`$JS.API.STREAM.UPDATE.${stream}`, JSON.stringify(config));
    expect(await pushing.push([job({ id: "x", queue: QUEUE, idWindow: 0 })], CALL)).toEqual(["stored"]);
    expect(await pushing.info(QUEUE, CALL)).toMatchObject({ waiting: 1, failed: 1 });
  }, 30_000);

  test.concurrent("a process that dies while it reloads a job leaves the window of its id open", async () => {
    const x = job({ id: "x", queue: QUEUE, idWindow: 3_600_000 });
    await using half = await halfReloaded(x, ".w.x");
    const { next: pushing, runtime } = half;
    expect(await pushing.push([x], CALL)).toEqual(["duplicate"]);
    runtime.sleepThrough(20_000);
    expect(await pushing.push([x], CALL)).toEqual(["duplicate"]);
    expect(await pushing.reload(QUEUE, "failed", "all", { ...CALL, reset: false }))
      .toEqual({ reloaded: 1, taken: 0 });
  }, 30_000);

  test.concurrent("who reserves ends what a process left that died before it reloaded a job", async () => {
    await using half = await halfReloaded(X, ".w.x", true);
    const { next, options, runtime } = half;
    // Whoever reserves for the first time looks after the queue.
    await using tending = nats({ ...options, runtime });
    await tending.info(QUEUE, CALL);
    runtime.sleepThrough(20_000);
    const [held] = await tending.reserve([QUEUE], { ...TAKE, wait: 10_000 });
    expect([held?.id, held?.reset]).toEqual(["x", true]);
    await becomes("the dead one is gone", async () => (await next.info(QUEUE, CALL)).failed === 0);
  }, 30_000);

  for (const meanwhile of ["still waits", "is done"]) {
    test.concurrent(
      `a job that was reloaded by a process which died at that, and ${meanwhile}, is reloaded once`,
      async () => {
        await using half = await halfReloaded(X, "STREAM.PURGE");
        const { next, runtime } = half;
        expect(await next.info(QUEUE, CALL)).toMatchObject({ waiting: 1, failed: 1 });
        if (meanwhile === "is done") {
          const [held] = await next.reserve([QUEUE], TAKE);
          if (held === undefined) throw new Error("Wanted a delivery");
          await next.settle([{ queue: QUEUE, token: held.token, to: "done" }], CALL);
        }
        runtime.sleepThrough(20_000);
        expect(await next.reload(QUEUE, "failed", "all", { ...CALL, reset: false })).toEqual({
          reloaded: 0,
          taken: 0,
        });
        expect(await next.info(QUEUE, CALL))
          .toMatchObject({ waiting: meanwhile === "is done" ? 0 : 1, reserved: 0, failed: 0 });
        expect(await next.push([job({ id: "x", queue: QUEUE, idWindow: 0 })], CALL))
          .toEqual([meanwhile === "is done" ? "stored" : "duplicate"]);
      },
      30_000,
    );
  }

  test.concurrent(
    "a settlement that is sent again behind another's taking the job back is stale",
    async () => {
      const server = await start();
      const { prefix, options } = ground(server);
      const ackWait = 600;
      // In a cluster what bears a message id is sent again after a second without an answer.
      const real = await connect({ servers: server.url });
      let lost = false;
      const connection: NatsConnection = new Proxy(real, {
        get(target, key) {
          const value: unknown = Reflect.get(target, key);
          if (key === "info") return { ...target.info, cluster: "c" };
          if (key !== "publish") return typeof value === "function" ? value.bind(target) : value;
          return (...parts: Parameters<typeof real.publish>) => {
            if (lost || !parts[0].includes(".d.")) return target.publish(...parts);
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
      const [taken] = await next.reserve([QUEUE], { ...TAKE, lease: 60_000, wait: 5_000 });
      expect([lost, taken?.id, taken?.lost]).toEqual([true, "1", 1]);
      expect(await settled).toEqual(["stale"]);
      await slow[Symbol.asyncDispose]();
      await real.close();
    },
    30_000,
  );

  test.concurrent(
    "the window of an id is the server's in a process that has only pushed for a week",
    async () => {
      const server = await start();
      const { prefix, options } = ground(server);
      const runtime = sleepyRuntime();
      await using pushing = nats({ ...options, runtime });
      await pushing.push([job({ id: "first", queue: QUEUE })], CALL);
      runtime.sleepThrough(7 * 24 * 3_600_000);
      await pushing.push([job({ id: "x", queue: QUEUE, idWindow: 120_000 })], CALL);
      await using raw = await server.raw();
      const { message } = JSON.parse(
        await raw.request(
          `$JS.API.STREAM.MSG.GET.${prefix}_${QUEUE}`,
          JSON.stringify({ last_by_subj: `${prefix}.${QUEUE}.i.x` }),
        ),
      );
      const [, until = "0"] = atob(message.hdrs).match(/Relevo: ?\[([0-9.]+)/) ?? [];
      expect(Math.abs(Number(until) - (Date.now() + 120_000))).toBeLessThan(5_000);
    },
    30_000,
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
    30_000,
  );

  test.concurrent("who reserves notes that a job was stored whose pusher died before it could", async () => {
    const server = await start();
    const { prefix, options } = ground(server);
    const pushing = await cutting(server.url, prefix, ACK_WAIT);
    const x = job({ id: "x", queue: QUEUE, idWindow: 3_600_000 });
    await pushing.transport.info(QUEUE, CALL);
    let locks = 0;
    await pushing.cut(
      () => pushing.transport.push([x], CALL),
      (subject) => subject.includes(".i.x") && ++locks === 2,
    );
    await using raw = await server.raw();
    const lock = async (): Promise<string> => {
      const { message } = JSON.parse(
        await raw.request(
          `$JS.API.STREAM.MSG.GET.${prefix}_${QUEUE}`,
          JSON.stringify({ last_by_subj: `${prefix}.${QUEUE}.i.x` }),
        ),
      );
      return atob(message.hdrs);
    };
    expect(await lock()).toContain(",false]");
    await using next = nats(options);
    await next.reserve([QUEUE], { ...TAKE, limit: 1, slots: 0 });
    await becomes("the lock is closed", async () => (await lock()).includes(",true]"));
  }, 30_000);

  test.concurrent("an id whose time is over is let go behind hundreds that are needed", async () => {
    const server = await start();
    const { prefix, options } = ground(server);
    await using transport = nats(options);
    const kept = Array.from(
      { length: 520 },
      (_, n) => job({ id: `k${n}`, queue: QUEUE, idWindow: 3_600_000 }),
    );
    await transport.push(kept, CALL);
    await transport.push([job({ id: "over", queue: QUEUE, idWindow: 1 })], CALL);
    expect(await transport.remove(QUEUE, "waiting", { ids: ["over"] }, CALL)).toBe(1);
    // They outlast their time by five seconds.
    await new Promise((resolve) => setTimeout(resolve, 5_500));
    await using tending = nats(options);
    await tending.reserve([QUEUE], { ...TAKE, limit: 1 });
    await using raw = await server.raw();
    const left = async (): Promise<boolean> => {
      const subject = `${prefix}.${QUEUE}.i.over`;
      const answer = await raw.request(
        `$JS.API.STREAM.MSG.GET.${prefix}_${QUEUE}`,
        JSON.stringify({ last_by_subj: subject }),
      );
      return "message" in JSON.parse(answer);
    };
    await becomes("an id is let go", async () => !await left());
  }, 30_000);
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
    const reserved = transport.reserve([QUEUE], { ...TAKE, wait: 10_000, signal: stop.signal });
    setTimeout(() => stop.abort(reason), 100);
    await expect(reserved).rejects.toBe(reason);
    expect(performance.now() - begun).toBeLessThan(2_000);
    await server.start();
  }, 30_000);

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
  }, 30_000);

  test("leaves no timer behind when it is closed, for a job that came for nobody", async () => {
    const server = await start();
    const { prefix, options } = ground(server);
    const runtime = watchedRuntime();
    const transport = nats({ ...options, runtime });
    const stop = new AbortController();
    const waiting = transport.reserve([QUEUE], { ...TAKE, wait: 10_000, signal: stop.signal });
    await using raw = await server.raw();
    const consumer = async (): Promise<
      { readonly num_waiting?: number; readonly num_ack_pending?: number }
    > => JSON.parse(await raw.request(`$JS.API.CONSUMER.INFO.${prefix}_${QUEUE}.relevo`));
    await expect.poll(async () => (await consumer()).num_waiting).toBe(1);
    stop.abort();
    await expect(waiting).rejects.toThrow();
    await using pushing = nats(options);
    await pushing.push([job({ id: "1", queue: QUEUE })], CALL);
    await expect.poll(async () => (await consumer()).num_ack_pending, { interval: 5 }).toBe(1);
    await server.kill();
    await transport[Symbol.asyncDispose]();
    await expect.poll(() => runtime.sleepers).toBe(0);
    // A timer that is set anew each time it rings is there at any moment.
    for (let looks = 0; looks < 20; looks++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(runtime.sleepers).toBe(0);
    }
  }, 30_000);
});
