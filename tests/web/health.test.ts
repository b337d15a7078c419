import { expect, test } from "vitest";
import { createRelay, memory, type Transport, TransportError } from "../../mod.ts";
import { createFakeRuntime } from "../../src/testing/mod.ts";
import { free } from "./support/kit.ts";

function place() {
  const runtime = createFakeRuntime();
  const inner = memory({ runtime });
  let away = false;
  let calls = 0;
  const transport: Transport = {
    ...inner,
    reserve(queues, options) {
      calls++;
      if (!away) return inner.reserve(queues, options);
      return Promise.reject(new TransportError("TRANSPORT_UNAVAILABLE", "Cannot reach the store"));
    },
  };
  const relay = createRelay({ jobs: { mail: free<number>() }, transport, runtime });
  return {
    relay,
    runtime,
    calls: () => calls,
    setAway: (value: boolean) => void (away = value),
  };
}

test("health follows a worker: stopped, starting, up, down, up, stopped, closed, each since when", async () => {
  const { relay, runtime, setAway } = place();
  relay.handle("mail", () => {});
  const seen: string[] = [];
  const look = (): void => {
    const { state, since } = relay.health();
    expect(since).toBeLessThanOrEqual(runtime.now());
    seen.push(state);
  };
  look();
  const end = new AbortController();
  const running = relay.run({ signal: end.signal, poll: 60_000 });
  look();
  await runtime.advance(1_500);
  look();
  setAway(true);
  await runtime.advance(90_000);
  look();
  const { since } = relay.health();
  await runtime.advance(5_000);
  expect(relay.health().since).toBe(since);
  setAway(false);
  await runtime.advance(90_000);
  look();
  end.abort();
  await running;
  look();
  await relay.close();
  look();
  expect(seen).toEqual(["stopped", "starting", "up", "down", "up", "stopped", "closed"]);
});

test("lag is how long the job that was taken last had been due, and 0 once nothing waits", async () => {
  const { relay, runtime } = place();
  relay.handle("mail", () => {});
  await relay.dispatch("mail", 1);
  await runtime.advance(7_000);
  const running = relay.run({ poll: 1_000 });
  const lags: number[] = [];
  relay.events.addEventListener("started", () => void lags.push(relay.health().lag));
  await runtime.advance(2_000);
  expect([lags, relay.health().lag]).toEqual([[7_000], 0]);
  await Promise.all([relay.close(), running]);
});

test("lag grows while all slots are taken, and while the store is away", async () => {
  const { relay, runtime, setAway } = place();
  const over = Promise.withResolvers<void>();
  relay.handle("mail", () => over.promise);
  await relay.dispatch("mail", 1);
  const running = relay.run({ concurrency: 1, prefetch: 0, poll: 1_000 });
  await runtime.advance(60_000);
  expect(relay.health()).toMatchObject({ state: "up" });
  expect(relay.health().lag).toBeGreaterThan(50_000);
  over.resolve();
  await runtime.advance(2_000);
  expect(relay.health().lag).toBe(0);
  setAway(true);
  await runtime.advance(60_000);
  expect(relay.health()).toMatchObject({ state: "down" });
  expect(relay.health().lag).toBeGreaterThan(50_000);
  await Promise.all([relay.close(), running]);
});

test("of several workers health tells the worse", async () => {
  const { relay, runtime, setAway } = place();
  relay.handle("mail", () => {});
  const first = relay.worker({ poll: 1_000 });
  const runs = [first.run()];
  await runtime.advance(10);
  setAway(true);
  runs.push(relay.worker({ poll: 1_000 }).run());
  await runtime.advance(10);
  expect(relay.health().state).toBe("down");
  setAway(false);
  await runtime.advance(10_000);
  expect(relay.health().state).toBe("up");
  await relay.close();
  await Promise.all(runs);
});

test("health costs no call to the store, and a drain is no worker that could be stopped", async () => {
  const { relay, calls } = place();
  relay.handle("mail", () => {});
  await relay.drain();
  const before = calls();
  for (let n = 0; n < 1_000; n++) expect(relay.health().state).toBe("stopped");
  expect(calls()).toBe(before);
  await relay.close();
});
