import { connect } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { type Runtime, systemRuntime } from "../../../src/runtime.ts";
import { createServerClock } from "../../../src/transports/nats/stream/server_clock.ts";
import { createLink } from "../../../src/transports/nats/client/connected.ts";
import { settingsOf } from "../../../src/transports/nats/client/options.ts";
import { createQueueStreams } from "../../../src/transports/nats/stream/queue_streams.ts";
import { job } from "../../../src/testing/conformance/lab.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { nats, type NatsConnection } from "../../../src/transports/nats/mod.ts";
import { becomes } from "../support/becomes.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { sleepyRuntime } from "./support.ts";

/** Milliseconds that an answer may take on a busy machine. */
const ANSWER = 9_000;
const PATIENCE = 30_000;
const CALL = { deadline: PATIENCE };
const TAKE = { limit: 10, slots: 10, lease: 30_000, wait: 0, ...CALL };

describeOn(["nats"], `The clock of NATS`, () => {
  const start = owned(() => startNats());

  test("is carried on a little slow, and read anew when it was read long ago", async () => {
    const server = await start();
    const real = systemRuntime();
    let skew = 0;
    const runtime: Runtime = { ...real, monotonic: () => real.monotonic() + skew };
    const link = createLink(settingsOf({ servers: server.url, prefix: crypto.randomUUID(), runtime }));
    const clock = createServerClock(link);
    try {
      const until = Infinity;
      await link.ready(until, "read the clock");
      const place = await createQueueStreams(link, clock).make("work", until);
      const read = clock.now();
      expect(read).toBeLessThan(Date.now() + 1);
      expect(read).toBeGreaterThan(Date.now() - ANSWER);

      const apart = clock.now() - Date.now();
      skew = 100_000;
      const carried = clock.now() - Date.now() - apart;
      expect(carried).toBeLessThan(100_000 - 5);
      expect(carried).toBeGreaterThan(100_000 - ANSWER);
      await clock.renew(place, until);
      expect(clock.now()).toBeGreaterThan(Date.now() + 90_000);

      skew = 200_000;
      await clock.renew(place, until);
      expect(clock.now()).toBeLessThan(Date.now() + 1);
      expect(clock.now()).toBeGreaterThan(Date.now() - ANSWER);
    } finally {
      await link.close();
    }
  });

  test(
    "is read anew by a process that only dispatches, so that a delay counts from the server's time",
    async () => {
      const server = await start();
      const real = systemRuntime();
      let skew = 0;
      const runtime: Runtime = { ...real, monotonic: () => real.monotonic() + skew };
      const place = { servers: server.url, prefix: crypto.randomUUID() };
      await using producer = nats({ ...place, runtime });
      await using worker = nats(place);
      const call = { deadline: PATIENCE };
      await producer.push([job({ id: "1", queue: "work", delay: 1 })], call);
      skew = 30 * 86_400_000;
      await producer.push([job({ id: "2", queue: "work", delay: 1 })], call);
      const seen: string[] = [];
      while (seen.length < 2) {
        const take = { limit: 2, slots: 2, lease: 10_000, wait: PATIENCE, ...call };
        const found = await worker.reserve(["work"], take);
        if (found.length === 0) break;
        seen.push(...found.map(({ id }) => id));
      }
      // The clock that was read anew may be a little behind the first one, carried on: either may be due first.
      expect(seen.toSorted()).toEqual(["1", "2"]);
    },
    3 * PATIENCE,
  );

  /** A worker of a server that moves no delayed job, as it oversleeps their instants. */
  async function overslept(): Promise<
    AsyncDisposable & { readonly transport: Transport; readonly runtime: ReturnType<typeof sleepyRuntime> }
  > {
    const { url } = await start();
    const runtime = sleepyRuntime();
    const real = await connect({ servers: url.replace("nats://", "") });
    const connection: NatsConnection = new Proxy(real, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key);
        if (key !== "publish") return typeof value === "function" ? value.bind(target) : value;
        return (...[subject, data, options]: Parameters<typeof real.publish>) => {
          options?.headers?.delete("Nats-Schedule");
          options?.headers?.delete("Nats-Schedule-Target");
          target.publish(subject, data, options);
        };
      },
    });
    const transport = nats({ connection, prefix: crypto.randomUUID(), runtime });
    return {
      transport,
      runtime,
      async [Symbol.asyncDispose]() {
        await transport[Symbol.asyncDispose]();
        await real.close();
      },
    };
  }

  async function delay(transport: Transport, id: string, ms: number): Promise<void> {
    expect(await transport.push([job({ id, queue: "work", delay: ms })], CALL)).toEqual(["stored"]);
  }

  async function polled(transport: Transport): Promise<readonly string[]> {
    return (await transport.reserve(["work"], TAKE)).map(({ id }) => id);
  }

  test("is overslept by no job: a worker moves those that are overdue", async () => {
    await using ground = await overslept();
    const { transport, runtime } = ground;
    await delay(transport, "1", 30_000);
    expect(await polled(transport)).toEqual([]);
    runtime.sleepThrough(60_000);
    await becomes("it runs", async () => (await polled(transport)).includes("1"));
    expect(await transport.info("work", CALL)).toMatchObject({ delayed: 0, waiting: 0, reserved: 1 });
  }, 3 * PATIENCE);

  test("may go back: jobs that are due in minutes which were checked before are moved, too", async () => {
    await using ground = await overslept();
    const { transport, runtime } = ground;
    await delay(transport, "0", 1_000);
    expect(await polled(transport)).toEqual([]);
    // By this process's reading two minutes go by, which are checked; then the server's clock is read anew.
    runtime.sleepThrough(100_000);
    await becomes("the first runs", async () => (await polled(transport)).includes("0"));
    runtime.sleepThrough(20_000);
    await delay(transport, "1", 10_000);
    await becomes("it is told that it is delayed", async () => {
      const { entries: [entry] } = await transport.list("work", "delayed", { limit: 1, preview: 0 }, CALL);
      return (entry?.time ?? 0) < Date.now() + 11_000;
    });
    runtime.sleepThrough(100_000);
    await becomes("the next runs", async () => (await polled(transport)).includes("1"));
  }, 3 * PATIENCE);
});
