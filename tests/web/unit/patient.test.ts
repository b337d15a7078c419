/** A transport whose calls never answer keeps nobody waiting: each ends within its deadline and a second. */
import { expect, it } from "vitest";
import { createRelay, DeadlineExceeded, memory, type Transport } from "../../../mod.ts";
import { bounded } from "../../../src/contract/bounded.ts";
import { createAlarms } from "../../../src/flow/alarms.ts";
import { createFakeRuntime } from "../../../src/testing/fake_runtime.ts";
import { patient } from "../../../src/worker/patient.ts";
import { free, heard, rejection } from "../support/kit.ts";

const jobs = {
  n: free<number>(),
  t: { schema: free<number>(), queue: "told", topic: true },
} as const;

/** Calls by name, `topics.bind` for that of an ability. */
type Deafness = Map<string, { readonly reject: (error: Error) => void }[]>;

/** A transport that carries out no call of these names, hears neither signal nor deadline, and answers when told to. */
function createRig(...names: readonly string[]) {
  const runtime = createFakeRuntime();
  const inner = memory({ runtime });
  const deafTo = new Set(names);
  const pending: Deafness = new Map();
  const hang = <T extends object>(target: T, prefix: string): T =>
    new Proxy(target, {
      get(from, key) {
        const value: unknown = Reflect.get(from, key);
        const name = prefix + (typeof key === "symbol" ? "dispose" : key);
        if (typeof value !== "function") return value;
        return (...rest: readonly unknown[]): unknown => {
          if (!deafTo.has(name)) return Reflect.apply(value, from, rest);
          const { promise, reject } = Promise.withResolvers<never>();
          pending.set(name, [...pending.get(name) ?? [], { reject }]);
          return promise;
        };
      },
    });
  const transport: Transport = hang(
    { ...inner, ...(inner.topics === undefined ? {} : { topics: hang(inner.topics, "topics.") }) },
    "",
  );
  const relay = createRelay({ jobs, transport, runtime, callTimeout: 500 });
  return { runtime, relay, deafTo, pending, transport };
}

const calls: Readonly<Record<string, (relay: ReturnType<typeof createRig>["relay"]) => Promise<unknown>>> = {
  info: (relay) => relay.info(),
  queues: (relay) => relay.queues(),
  list: (relay) => relay.list("default", "waiting"),
  get: (relay) => relay.get("default", "1"),
  reload: (relay) => relay.reload("default", "failed", "all"),
  remove: (relay) => relay.remove("default", "failed", "all"),
  "topics.bind": (relay) => relay.bind("t", "a"),
  "topics.unbind": (relay) => relay.unbind("t", "a"),
  "topics.groups": (relay) => relay.groups("t"),
};

it.each(Object.keys(calls))(
  "'%s' of a transport that never answers rejects a second after its deadline",
  async (name) => {
    const { runtime, relay, pending } = createRig(name);
    const call = calls[name];
    const error = call === undefined ? undefined : rejection(call(relay));
    await runtime.advance(1_490);
    expect(await Promise.race([error, "pending"])).toBe("pending");
    await runtime.advance(20);
    expect(await error).toMatchObject({
      code: "DEADLINE_EXCEEDED",
      message: expect.stringContaining("1500 ms"),
    });
    await relay.close();
    await runtime.settle();
    expect(runtime.sleepers).toBe(0);
    // Too late for anybody: it must not end the process.
    for (const { reject } of pending.get(name) ?? []) reject(new Error("gone"));
    await runtime.settle();
  },
);

it("a dispatch to a transport that never answers has an unknown outcome, and one whose call is hung holds up no other", async () => {
  const { runtime, relay, deafTo, pending } = createRig("push");
  const first = rejection(relay.dispatch("n", 1, { id: "1" }));
  const many = rejection(relay.dispatchMany([{ name: "n", payload: 2 }, { name: "n", payload: 3 }]));
  await runtime.settle();
  deafTo.clear();
  const second = relay.dispatch("n", 4);
  await runtime.settle();
  expect(await second).toMatchObject({ status: "stored" });
  await runtime.advance(1_510);
  expect(await first).toMatchObject({
    code: "OUTCOME_UNKNOWN",
    id: "1",
    cause: { code: "DEADLINE_EXCEEDED" },
  });
  expect(await many).toMatchObject({
    code: "BULK_REFUSED",
    stored: 0,
    failures: [{ error: { code: "OUTCOME_UNKNOWN" } }, { error: { code: "OUTCOME_UNKNOWN" } }],
  });
  await relay.close();
  await runtime.settle();
  expect(runtime.sleepers).toBe(0);
  for (const { reject } of pending.get("push") ?? []) reject(new Error("gone"));
  await runtime.settle();
});

it("a hung call whose signal aborts ends within a second, with the signal's reason", async () => {
  const { runtime, relay } = createRig("info", "push");
  const controller = new AbortController();
  const reason = new Error("no longer wanted");
  const { signal } = controller;
  const errors = [
    rejection(relay.info("default", { signal })),
    rejection(relay.dispatchMany([{ name: "n", payload: 1 }], { signal })),
  ];
  await runtime.settle();
  controller.abort(reason);
  await runtime.advance(1_010);
  expect(await errors[0]).toBe(reason);
  expect(await errors[1]).toMatchObject({
    failures: [{ error: { code: "OUTCOME_UNKNOWN", cause: reason } }],
  });
  await relay.close();
  await runtime.settle();
  expect(runtime.sleepers).toBe(0);
});

it("a settlement that never answers is given up and sent again, and its job runs once", async () => {
  const { runtime, relay, deafTo, pending } = createRig("settle");
  const connection = heard(relay.events, "connection");
  const completed = heard(relay.events, "completed");
  let runs = 0;
  relay.handle("n", () => void runs++);
  const worker = relay.worker();
  const run = worker.run();
  await relay.dispatch("n", 1);
  await runtime.advance(1_000);
  expect([runs, completed.length, connection.length]).toEqual([1, 0, 0]);
  deafTo.clear();
  await runtime.advance(1_000);
  expect([runs, completed.length]).toEqual([1, 1]);
  expect(connection).toMatchObject([{ state: "down", error: { code: "DEADLINE_EXCEEDED" } }, {
    state: "up",
  }]);
  await worker.stop();
  await run;
  await runtime.settle();
  expect(runtime.sleepers).toBe(0);
  for (const { reject } of pending.get("settle") ?? []) reject(new Error("gone"));
  await runtime.settle();
});

it("a worker stops within a call's time though its settlement and its extension never answer, and leaves no timer", async () => {
  const { runtime, relay, pending } = createRig("settle", "extend");
  const errors = heard(relay.events, "error");
  let finish = (): void => {};
  relay.handle("n", () => new Promise<void>((resolve) => finish = resolve));
  const worker = relay.worker({ lease: 300 });
  const run = worker.run();
  await relay.dispatch("n", 1);
  await runtime.advance(150);
  expect(pending.get("extend")).toHaveLength(1);
  finish();
  await runtime.settle();
  const stopping = worker.stop();
  await runtime.advance(510);
  await Promise.all([stopping, run]);
  expect(errors.map(({ during }) => during)).toEqual(["stopping a worker"]);
  await relay.close();
  await runtime.settle();
  expect(runtime.sleepers).toBe(0);
  for (const { reject } of [...pending.values()].flat()) reject(new Error("gone"));
  await runtime.advance(5_000);
  expect(runtime.sleepers).toBe(0);
});

it("an extension that never answers is given up, and the next ones keep the lease", async () => {
  const { runtime, relay, deafTo } = createRig("extend");
  const lost = heard(relay.events, "lost");
  let runs = 0;
  let finish = (): void => {};
  relay.handle("n", () => {
    runs++;
    return new Promise<void>((resolve) => finish = resolve);
  });
  const worker = relay.worker({ lease: 6_000 });
  const run = worker.run();
  await relay.dispatch("n", 1);
  await runtime.advance(2_500);
  deafTo.clear();
  await runtime.advance(20_000);
  expect([runs, lost.length]).toEqual([1, 0]);
  finish();
  await worker.stop();
  await run;
  await relay.close();
  await runtime.settle();
  expect(runtime.sleepers).toBe(0);
});

it("a transport that cannot be closed is told to who closes", async () => {
  const { runtime, relay } = createRig("dispose");
  const error = rejection(relay.close());
  await runtime.advance(11_010);
  expect(await error).toMatchObject({ code: "DEADLINE_EXCEEDED" });
  expect(runtime.sleepers).toBe(0);
});

it("calls that are answered at once cost no timer, and those that are not share one", async () => {
  const { runtime, relay, deafTo } = createRig();
  for (let n = 0; n < 100; n++) {
    const dispatched = relay.dispatch("n", n);
    await runtime.settle();
    await dispatched;
    expect(runtime.sleepers).toBe(0);
  }
  deafTo.add("info");
  const errors = Array.from({ length: 100 }, () => rejection(relay.info()));
  await runtime.settle();
  expect(runtime.sleepers).toBe(1);
  await runtime.advance(1_510);
  expect((await Promise.all(errors)).filter(({ name }) => name === "DeadlineExceeded")).toHaveLength(100);
  expect(runtime.sleepers).toBe(0);
  await relay.close();
});

it("a push that its transport bounds by itself has no alarm of the core's, and one put in its place has", async () => {
  const runtime = createFakeRuntime();
  const inner = memory({ runtime });
  const never = (): Promise<never> => new Promise(() => {});
  const owner: Transport = { ...inner, push: bounded(() => never()) };
  const guarded: Transport = { ...owner, push: never };
  const alarms = createAlarms(runtime);
  void patient(owner, alarms).push([], { deadline: 500 });
  expect(runtime.sleepers).toBe(0);
  const late = rejection(patient(guarded, alarms).push([], { deadline: 500 }));
  expect(runtime.sleepers).toBe(1);
  await runtime.advance(1_500);
  expect(await late).toBeInstanceOf(DeadlineExceeded);
  await inner[Symbol.asyncDispose]();
});
