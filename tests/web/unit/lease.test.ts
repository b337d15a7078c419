import { expect, test } from "vitest";
import { door, free, running, wrapped } from "../support/kit.ts";
import { memoryPlace } from "../support/place.ts";

test("extensions do not pile up while the transport does not answer", async () => {
  const place = memoryPlace();
  const ended = door();
  const restored = door();
  let sent = 0;
  const transport = wrapped(place.transport, (inner) => ({
    async extend(leases, call) {
      sent += leases.length;
      await restored.opened;
      return await inner.extend(leases, call);
    },
  }));
  const relay = place.relay({ hello: free<undefined>() }, { transport, callTimeout: 60_000 });
  relay.handle("hello", () => ended.opened);
  await Promise.all([relay.dispatch("hello"), place.runtime.advance(10)]);
  const work = running(relay, { lease: 600, concurrency: 1 });
  await place.runtime.advance(30_000);
  restored.open();
  await place.runtime.settle();
  const extensions = sent;
  ended.open();
  await place.runtime.advance(10);
  const stopped = work.worker.stop();
  await place.runtime.advance(60_000);
  await stopped;
  expect(extensions).toBeLessThanOrEqual(3);
});
