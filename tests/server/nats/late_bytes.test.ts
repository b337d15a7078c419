/** Bytes that come late: what another worker has completed meanwhile is not run again. */
import { expect } from "vitest";
import { createRelay } from "../../../mod.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { free, heard, running } from "../../web/support/kit.ts";
import { openProxy } from "../faults/support/proxy.ts";
import { becomes } from "../support/becomes.ts";
import { testByClock } from "../../web/support/real_clock.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";

const ACK_WAIT = 600;
const PATIENCE = 120_000;
const COUNT = 20;

/** What stands in the way of leases as short as these is no fault of the transport. */
const test = testByClock(ACK_WAIT / 4);

describeOn(["nats"], "Bytes of NATS that come late", () => {
  const start = owned(() => startNats());

  function relayOn(servers: string, prefix: string) {
    return createRelay({
      jobs: { work: { schema: free<number>(), queue: "work" } },
      transport: nats({ servers, prefix, ackWait: ACK_WAIT }),
    });
  }

  test(
    "a link that stalls for three leases brings no job to a handler that another worker has completed",
    async () => {
      const { port, url } = await start();
      const prefix = `late-${crypto.randomUUID()}`;
      const proxy = await openProxy(port);
      await using far = relayOn(`nats://127.0.0.1:${proxy.port}`, prefix);
      await using near = relayOn(url, prefix);
      const runs: string[] = [];
      far.handle("work", (n) => void runs.push(`far ${n}`));
      near.handle("work", (n) => void runs.push(`near ${n}`));
      const completed = [heard(far.events, "completed"), heard(near.events, "completed")];
      const waiting = running(far, { poll: 100, lease: ACK_WAIT, concurrency: COUNT });
      await near.dispatch("work", 0);
      await becomes("the far worker runs", () => runs.length === 1);
      const release = proxy.stall();
      // The server hands them to the far worker's open pull first.
      for (let n = 1; n <= COUNT; n++) await near.dispatch("work", n);
      const working = running(near, { poll: 100, lease: ACK_WAIT, concurrency: COUNT });
      await becomes("the near worker has completed all", () => runs.length === 1 + COUNT);
      await new Promise((resolve) => setTimeout(resolve, 3 * ACK_WAIT));
      release();
      await near.dispatch("work", -1);
      await becomes("the next runs", () => runs.length >= 2 + COUNT);
      await new Promise((resolve) => setTimeout(resolve, ACK_WAIT));
      expect(runs.length).toBe(2 + COUNT);
      expect((completed[0]?.length ?? 0) + (completed[1]?.length ?? 0)).toBe(2 + COUNT);
      await waiting.abort();
      await working.abort();
      await proxy.close();
    },
    PATIENCE,
  );
});
