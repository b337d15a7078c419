/** A server that says nothing has not said that nothing is there: slow links, and a server that hangs. */
import { connect, createServer, type Socket } from "node:net";
import { connect as dial } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { createRelay } from "../../../mod.ts";
import type { ReserveOptions } from "../../../src/jobs/exchange.ts";
import { job } from "../../../src/testing/conformance/lab.ts";
import { nats, type NatsConnection } from "../../../src/transports/nats/mod.ts";
import { free, heard, rejection, running, textOf } from "../../web/support/kit.ts";
import { becomes } from "../support/becomes.ts";
import { testByClock } from "../../web/support/real_clock.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";

const CALL = { deadline: 60_000 };
const LOOK: ReserveOptions = { limit: 10, slots: 10, lease: 10_000, wait: 0, deadline: 60_000 };
const PATIENCE = 120_000;

/** For leases that are short beside a slow link: what stands in their way is no fault of the transport. */
const patient = testByClock(100, 2).concurrent;

interface SlowLink extends AsyncDisposable {
  readonly port: number;
}

/** A proxy on loopback through which everything takes so many milliseconds, either way. */
async function slowLink(target: number, ms: number): Promise<SlowLink> {
  const sockets = new Set<Socket>();
  const carry = (from: Socket, to: Socket): void => {
    sockets.add(from);
    from.on("data", (chunk) => setTimeout(() => to.destroyed || to.write(chunk), ms));
    from.on("close", () => to.destroy());
    // A broken end is seen by its closing.
    from.on("error", () => undefined);
  };
  const server = createServer((near) => {
    const far = connect(target, "127.0.0.1");
    carry(near, far);
    carry(far, near);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The proxy has no port");
  return {
    port: address.port,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/**
 * A connection to one server of a cluster, whose jobs come from another: for so many milliseconds they are on their way,
 * and those that arrive for somebody who listens no more are dropped.
 */
async function slowRoutes(url: string, ms: number): Promise<NatsConnection> {
  const real: NatsConnection = await dial({ servers: url });
  const subscribe: NatsConnection["subscribe"] = (subject, { callback }) => {
    let listens = true;
    let slow = false;
    const subscription = real.subscribe(subject, {
      callback: (error, message) => {
        // The words behind jobs come by the same way.
        slow ||= (message.reply ?? "") !== "";
        if (!slow) return callback(error, message);
        setTimeout(() => listens && callback(error, message), ms);
      },
    });
    return {
      unsubscribe() {
        listens = false;
        subscription.unsubscribe();
      },
      async drain() {
        await subscription.drain();
        listens = false;
      },
    };
  };
  return new Proxy(real, {
    get(target, key) {
      if (key === "subscribe") return subscribe;
      if (key === "info") return { ...target.info, cluster: "slow" };
      const value: unknown = Reflect.get(target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

describeOn(["nats"], "A silent server of NATS", () => {
  const started = owned(() => startNats());

  test.concurrent(
    "a look over a link of 300 ms finds the job that waits, and then that none does",
    async () => {
      const { port, url } = await started();
      await using near = nats({ servers: url, prefix: "slow" });
      await near.push([job({ id: "1", queue: "q" })], CALL);
      await using link = await slowLink(port, 150);
      await using far = nats({ servers: `nats://127.0.0.1:${link.port}`, prefix: "slow" });
      const [delivery, ...others] = await far.reserve(["q"], LOOK);
      expect([delivery?.id, others]).toEqual(["1", []]);
      expect(await far.reserve(["q"], LOOK)).toEqual([]);
      if (delivery === undefined) return;
      expect(await far.settle([{ queue: "q", token: delivery.token, to: "done" }], CALL)).toEqual([
        "settled",
      ]);
    },
    PATIENCE,
  );

  patient("a job whose lease is over when it arrives is not run, and is no loss", async (times) => {
    const { port, url } = await started();
    const brief = { prefix: `late${times}`, ackWait: 200 * times };
    await using near = nats({ servers: url, ...brief });
    await near.push([job({ id: "1", queue: "q" })], CALL);
    await using link = await slowLink(port, 150 * times);
    await using far = nats({ servers: `nats://127.0.0.1:${link.port}`, ...brief });
    expect(await far.reserve(["q"], LOOK)).toEqual([]);
    const [delivery] = await near.reserve(["q"], { ...LOOK, wait: 10_000 });
    expect([delivery?.id, delivery?.lost]).toEqual(["1", 0]);
  }, PATIENCE);

  patient(
    "a round trip of 400 ms with leases of 1 s loses no job and blames no thread, and is told in words",
    async (times) => {
      const { port, url } = await started();
      const jobs = { work: { schema: free<number>(), queue: "q" } };
      const [prefix, ackWait] = [`far${times}`, 1_000 * times];
      const brief = { prefix, ackWait };
      await using near = createRelay({ jobs, transport: nats({ servers: url, ...brief }) });
      const numbers = Array.from({ length: 40 }, (_, n) => n);
      await near.dispatchMany(numbers.map((payload) => ({ name: "work", payload })));
      await using link = await slowLink(port, 200 * times);
      const told: string[] = [];
      const transport = nats({
        servers: `nats://127.0.0.1:${link.port}`,
        ...brief,
        warn: (message) => void told.push(message),
      });
      await using far = createRelay({ jobs, transport });
      const errors = heard(far.events, "error");
      const completed = heard(far.events, "completed");
      const runs: number[] = [];
      far.handle("work", async (n) => {
        runs.push(n);
        // One in four outlives its lease: the time is the handler's work, and nothing is expected at its end.
        if (n % 4 === 0) await new Promise((resolve) => setTimeout(resolve, 1.5 * ackWait));
      });
      const worker = running(far, { concurrency: 10, lease: ackWait, poll: 100 });
      await becomes("all are completed", async () => {
        const { waiting, reserved } = await near.info("q");
        return completed.length >= numbers.length && waiting + reserved === 0;
      }, PATIENCE);
      await worker.abort();
      expect([...new Set(runs)].toSorted((a, b) => a - b)).toEqual(numbers);
      expect(errors).toEqual([]);
      const words =
        `take \\d+ ms.*'${prefix}_q'.*lease of ${ackWait} ms: set 'ackWait'.*to \\d{4,} ms at least`;
      expect(told.filter((message) => message.includes("its answer take"))).toEqual([
        expect.stringMatching(new RegExp(words)),
      ]);
    },
    3 * PATIENCE,
  );

  test.concurrent.for([[50, false], [50, true], [200, false], [200, true]] as const)(
    "a job that is on its way, of %d ms, to a transport which is being closed is another's at once, its call aborted before: %s",
    { timeout: PATIENCE },
    async ([ms, isAborted]) => {
      const server = await started();
      const prefix = `closing${ms}${isAborted}`;
      await using near = nats({ servers: server.url, prefix });
      await using raw = await server.raw();
      await using link = await slowLink(server.port, ms);
      const far = nats({ servers: `nats://127.0.0.1:${link.port}`, prefix });
      const stopping = new AbortController();
      const waiting = far.reserve(["q"], { ...LOOK, wait: 20_000, signal: stopping.signal });
      const pulls = async (): Promise<unknown> =>
        JSON.parse(await raw.request(`$JS.API.CONSUMER.INFO.${prefix}_q.relevo`)).num_waiting;
      await becomes("it waits", async () => await pulls() === 1);
      await near.push([job({ id: "1", queue: "q" })], CALL);
      const refused = expect(waiting).rejects.toThrow();
      if (isAborted) stopping.abort();
      const closed = far[Symbol.asyncDispose]();
      await refused;
      await closed;
      // The job has gone back whole: no half of its move is left to the lease.
      expect(await near.info("q", CALL)).toMatchObject({ waiting: 1, reserved: 0 });
      const [delivery] = await near.reserve(["q"], { ...LOOK, wait: 8_000 });
      expect([delivery?.id, delivery?.lost]).toEqual(["1", 0]);
    },
  );

  test.concurrent(
    "jobs that come from another server when their look was given up are another's at once",
    async () => {
      const { url } = await started();
      await using near = nats({ servers: url, prefix: "routes" });
      const ids = ["1", "2", "3"];
      await near.push(ids.map((id) => job({ id, queue: "q" })), CALL);
      const connection = await slowRoutes(url, 1_000);
      await using far = nats({ connection, prefix: "routes" });
      await expect(far.reserve(["q"], { ...LOOK, deadline: 300 })).rejects.toMatchObject({
        code: "DEADLINE_EXCEEDED",
      });
      const found: (readonly [string, number])[] = [];
      while (found.length < ids.length) {
        const come = await near.reserve(["q"], { ...LOOK, wait: 8_000 });
        if (come.length === 0) break;
        found.push(...come.map(({ id, lost }) => [id, lost] as const));
      }
      expect(found).toEqual(ids.map((id) => [id, 0]));
      await far[Symbol.asyncDispose]();
      await connection.close();
    },
    PATIENCE,
  );

  test.concurrent(
    "a look at a server that hangs is an error in time, and the pulls it left behind keep no job to themselves",
    async () => {
      // One that it may freeze.
      await using hangs = await startNats();
      await using transport = nats({ servers: hangs.url, prefix: "hangs" });
      expect(await transport.reserve(["q"], { ...LOOK, wait: 1 })).toEqual([]);
      hangs.pause();
      try {
        // A signal takes its time: what the server still answers is asked again.
        const ends = (): Promise<string> =>
          transport.reserve(["q"], { ...LOOK, deadline: 1_000 }).then(
            () => "answered",
            ({ code }: { readonly code?: string }) => String(code),
          );
        const isLate = async (): Promise<boolean> => await ends() !== "answered";
        await becomes("a look ends with an error", isLate);
        expect(await ends()).toMatch(/DEADLINE_EXCEEDED|TRANSPORT_UNAVAILABLE/);
      } finally {
        hangs.resume();
      }
      await transport.push([job({ id: "1", queue: "q" })], CALL);
      const found = await transport.reserve(["q"], { ...LOOK, wait: 8_000 });
      expect(found.map(({ id, lost }) => [id, lost])).toEqual([["1", 0]]);
    },
    PATIENCE,
  );

  test(
    "a dispatch that a server may have when its transport is closed is unknown, and not refused",
    async () => {
      const hangs = await started();
      const real = await dial({ servers: hangs.url, reconnect: false });
      const sent = Promise.withResolvers<void>();
      const connection = new Proxy(real, {
        get(target, key) {
          const value: unknown = Reflect.get(target, key);
          if (typeof value !== "function") return value;
          return (...given: readonly unknown[]): unknown => {
            const [, data] = given;
            if (key === "publish" && data instanceof Uint8Array && textOf(data) === '"second"') {
              sent.resolve();
            }
            return Reflect.apply(value, target, given);
          };
        },
      });
      const transport = nats({ connection: connection as NatsConnection, prefix: "ends" });
      const relay = createRelay({ jobs: { job: free<string>() }, transport });
      await relay.dispatch("job", "first");
      hangs.pause();
      try {
        const answers = (): Promise<boolean> =>
          transport.queues({ deadline: 200 }).then(() => true, () => false);
        await expect.poll(answers).toBe(false);
        const refused = rejection(relay.dispatch("job", "second", { id: "s" }));
        await sent.promise;
        await transport[Symbol.asyncDispose]();
        expect(await refused).toMatchObject({ code: "OUTCOME_UNKNOWN", id: "s" });
      } finally {
        hangs.resume();
      }
      await relay.close();
      await real.close();
    },
    PATIENCE,
  );
});
