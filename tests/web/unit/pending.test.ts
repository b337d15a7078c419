/** `maxPending`: a dispatch beyond the jobs under way waits for room, and never longer than it may. */
import { expect, it } from "vitest";
import { createRelay, memory, type Pushed, type RelayOptions, type Transport } from "../../../mod.ts";
import { createFakeRuntime } from "../../../src/testing/fake_runtime.ts";
import { free, rejection } from "../support/kit.ts";

const jobs = { n: free<number>() };

/** A relay whose pushes are carried out when they are let go. */
function createRig(options: Partial<RelayOptions<typeof jobs>> = {}) {
  const runtime = createFakeRuntime();
  const inner = memory({ runtime });
  const held: (() => void)[] = [];
  const sent: number[] = [];
  const transport: Transport = {
    ...inner,
    async push(batch, call): Promise<readonly Pushed[]> {
      sent.push(batch.length);
      await new Promise<void>((resolve) => held.push(resolve));
      return await inner.push(batch, call);
    },
  };
  const relay = createRelay({ jobs, transport, runtime, callTimeout: 1_000, ...options });
  const letGo = async (): Promise<void> => {
    for (const go of held.splice(0)) go();
    await runtime.advance(0);
  };
  return { runtime, relay, sent, letGo };
}

it("dispatches beyond it wait for room, and go in order", async () => {
  const { runtime, relay, sent, letGo } = createRig({ maxPending: 2 });
  const all = [1, 2, 3, 4, 5].map((n) => relay.dispatch("n", n, { id: `${n}` }));
  await runtime.advance(0);
  expect(sent).toEqual([2]);
  await letGo();
  expect(sent).toEqual([2, 2]);
  await letGo();
  await letGo();
  expect(sent).toEqual([2, 2, 1]);
  expect((await Promise.all(all)).map(({ id }) => id)).toEqual(["1", "2", "3", "4", "5"]);
  const { jobs: waiting } = await relay.list("default", "waiting");
  expect(waiting.map(({ id }) => id)).toEqual(["1", "2", "3", "4", "5"]);
});

it("without it nothing waits", async () => {
  const { runtime, relay, sent, letGo } = createRig();
  const all = Array.from({ length: 300 }, (_, n) => relay.dispatch("n", n));
  await runtime.advance(0);
  expect(sent.reduce((sum, size) => sum + size, 0)).toBe(300);
  await letGo();
  await Promise.all(all);
});

it("a payload is read when it is dispatched, and not when there is room", async () => {
  const { runtime, relay, letGo } = createRig({ maxPending: 1 });
  const first = relay.dispatch("n", 1);
  const payload: unknown[] = [2];
  const second = relay.dispatchMany([{ name: "n", payload: payload as unknown as number }]);
  payload[0] = 3;
  await runtime.advance(0);
  await letGo();
  await letGo();
  await Promise.all([first, second]);
  const handled: unknown[] = [];
  relay.handle("n", (value) => void handled.push(value));
  await relay.drain();
  expect(handled).toEqual([1, [2]]);
});

it("one that waits ends with its signal, and those behind it go on", async () => {
  const { runtime, relay, sent, letGo } = createRig({ maxPending: 1 });
  const controller = new AbortController();
  const first = relay.dispatch("n", 1);
  const second = rejection(relay.dispatch("n", 2, { signal: controller.signal }));
  const third = relay.dispatch("n", 3);
  await runtime.advance(0);
  controller.abort(new Error("enough"));
  expect(await second).toMatchObject({ message: "enough" });
  await letGo();
  await letGo();
  await Promise.all([first, third]);
  expect(sent).toEqual([1, 1]);
  expect(await relay.info()).toMatchObject({ waiting: 2 });
});

it("one that waits for longer than 'callTimeout' rejects with TransportBusy, and each of a bulk does", async () => {
  const { runtime, relay, letGo } = createRig({ maxPending: 1 });
  void relay.dispatch("n", 1).catch(() => undefined);
  await runtime.advance(0);
  const second = rejection(relay.dispatch("n", 2));
  const bulk = rejection(relay.dispatchMany([{ name: "n", payload: 3 }, { name: "n", payload: 4 }]));
  await runtime.advance(1_000);
  expect(await second).toMatchObject({
    code: "TRANSPORT_BUSY",
    message: "Cannot dispatch as 'maxPending' left no room for 1000 ms: current value is 1",
  });
  expect(await bulk).toMatchObject({
    failures: [{ error: { code: "TRANSPORT_BUSY" } }, { error: { code: "TRANSPORT_BUSY" } }],
  });
  await letGo();
});

it("a bulk counts its jobs, and one that is larger than the limit goes when nothing else does", async () => {
  const { runtime, relay, sent, letGo } = createRig({ maxPending: 3 });
  const first = relay.dispatch("n", 1);
  const bulk = relay.dispatchMany([2, 3, 4, 5].map((payload) => ({ name: "n" as const, payload })));
  const last = relay.dispatch("n", 6);
  await runtime.advance(0);
  expect(sent).toEqual([1]);
  await letGo();
  expect(sent).toEqual([1, 4]);
  await letGo();
  expect(sent).toEqual([1, 4, 1]);
  await letGo();
  await Promise.all([first, bulk, last]);
});

it("a relay that closes waits for what waits for room", async () => {
  const { runtime, relay, letGo } = createRig({ maxPending: 1 });
  const both = Promise.all([relay.dispatch("n", 1), relay.dispatch("n", 2)]);
  await runtime.advance(0);
  const closing = relay.close();
  await letGo();
  await letGo();
  await closing;
  expect(await both).toMatchObject([{ status: "stored" }, { status: "stored" }]);
});

it.each([0, -1, 1.5, "2"])("a 'maxPending' of %j is refused", (maxPending) => {
  expect(() => createRig({ maxPending: maxPending as number })).toThrow(
    /'maxPending' must be a whole number/,
  );
});
