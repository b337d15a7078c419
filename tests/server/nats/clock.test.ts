import { expect, test } from "vitest";
import { type Runtime, systemRuntime } from "../../../src/runtime.ts";
import { createServerClock } from "../../../src/transports/nats/stream/server_clock.ts";
import { createLink } from "../../../src/transports/nats/client/connected.ts";
import { settingsOf } from "../../../src/transports/nats/client/options.ts";
import { createQueueStreams } from "../../../src/transports/nats/stream/queue_streams.ts";
import { job } from "../../../src/testing/conformance/lab.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";

/** Milliseconds that an answer may take on a busy machine. */
const ANSWER = 9_000;
const PATIENCE = 30_000;

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
});
