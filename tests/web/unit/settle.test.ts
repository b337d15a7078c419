import { expect, test } from "vitest";
import { TransportError } from "../../../mod.ts";
import { door, free, heard, running, wrapped } from "../support/kit.ts";
import { memoryPlace } from "../support/place.ts";

test("a settlement that took effect and whose answer was lost is told as what it was, not as stale", async () => {
  const place = memoryPlace();
  const lost = door();
  let settlements = 0;
  const transport = wrapped(place.transport, (inner) => ({
    async settle(batch, call) {
      const answers = await inner.settle(batch, call);
      if (settlements++ > 0) return answers;
      lost.open();
      throw new TransportError("TRANSPORT_UNAVAILABLE", "the answer was lost");
    },
  }));
  const relay = place.relay({ hello: free<undefined>() }, { transport });
  relay.handle("hello", () => undefined);
  const completed = heard(relay.events, "completed");
  const stale = heard(relay.events, "stale");
  await Promise.all([relay.dispatch("hello"), place.runtime.advance(10)]);
  const work = running(relay, { lease: 600, concurrency: 1 });
  await Promise.all([lost.opened, place.runtime.advance(10)]);
  await place.runtime.advance(1_000);
  await Promise.all([work.worker.stop(), place.runtime.advance(1_000)]);
  expect(settlements).toBe(2);
  expect([completed.length, stale.length]).toEqual([1, 0]);
});
