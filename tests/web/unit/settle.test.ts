import { expect, test } from "vitest";
import { TooLargeError, TransportError } from "../../../mod.ts";
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

for (
  const [room, left] of [
    [2_500, { name: "TypeError", message: "x".repeat(2_000) }],
    [600, { name: "TypeError", message: "x".repeat(256) }],
    [300, undefined],
  ] as const
) {
  test(`a job that fails where there are ${room} bytes for its metadata dies with what finds room of its error`, async () => {
    const place = memoryPlace();
    const transport = wrapped(place.transport, (inner) => ({
      settle(batch, call) {
        const large = batch.find((one) => "meta" in one && one.meta.length > room);
        if (large === undefined) return inner.settle(batch, call);
        return Promise.reject(new TooLargeError("a job", 9_999, room));
      },
    }));
    const relay = place.relay({ hello: free<undefined>() }, { transport });
    relay.handle("hello", () => {
      throw new TypeError("x".repeat(2_000));
    });
    const failed = heard(relay.events, "failed");
    const changes = heard(relay.events, "connection");
    await Promise.all([relay.dispatch("hello"), place.runtime.advance(10)]);
    const work = running(relay, { maxRetry: 1 });
    await place.runtime.advance(100);
    expect(failed).toMatchObject([{ error: { message: "x".repeat(2_000) }, reason: "exhausted" }]);
    const { jobs: [dead] } = await relay.list("default", "failed");
    expect(dead?.lastError).toEqual(left);
    expect(dead).toMatchObject({ attempts: 1, dead: { reason: "exhausted" } });
    expect(changes).toEqual([]);
    await Promise.all([work.worker.stop(), place.runtime.advance(1_000)]);
  });
}
