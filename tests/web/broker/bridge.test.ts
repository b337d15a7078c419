/** The bridge to a bare broker: what the broker's callback is told, and what becomes of brokers that misbehave. */
import { expect, it, onTestFinished } from "vitest";
import {
  after,
  type BrokerOptions,
  deadLetter,
  fromBroker,
  OutcomeUnknown,
  type PushJob,
  type Receive,
  reschedule,
  TransportError,
  TransportFull,
} from "../../../mod.ts";
import { createFakeRuntime } from "../../../src/testing/mod.ts";
import { broadcast } from "../support/bare_brokers.ts";
import { bytes, door, free, rejection, running, textOf, thrown } from "../support/kit.ts";
import { makePlace } from "../support/place.ts";

const jobs = { job: free<unknown>() };
const CALL = { deadline: 1_000 };
const TAKE = { ...CALL, limit: 10, slots: 10, lease: 60_000, wait: 0 };

/** A broker in the test's hand: what was published, and what takes bodies in. */
function createHand(options: Partial<BrokerOptions> = {}) {
  const runtime = createFakeRuntime();
  const published: Uint8Array[] = [];
  const receivers = new Map<string, Receive>();
  const transport = fromBroker({
    publish: (_, body) => void published.push(body),
    subscribe(topic, receive) {
      receivers.set(topic, receive);
      return () => void receivers.delete(topic);
    },
    runtime,
    ...options,
  });
  onTestFinished(async () => {
    await transport[Symbol.asyncDispose]();
    await runtime.settle();
    expect(runtime.sleepers).toBe(0);
  });
  const take = () => transport.reserve(["work"], TAKE);
  const deliver = (body: Uint8Array | undefined, topic = "work"): Promise<void> =>
    receivers.get(topic)?.(body ?? new Uint8Array()) ?? Promise.reject(new Error("nobody is subscribed"));
  const settle = async (to: "done" | "release"): Promise<void> => {
    const [delivery] = await take();
    if (delivery === undefined) throw new Error("nothing was delivered");
    await transport.settle([{ queue: delivery.queue, token: delivery.token, to }], CALL);
  };
  return { runtime, transport, published, receivers, take, deliver, settle };
}

function job(part: Partial<PushJob> = {}): PushJob {
  return { queue: "work", id: "1", name: "job", payload: bytes("payload"), meta: '{"v":1}', ...part };
}

/** How a promise stands once all that is under way has come through. */
async function stateOf(promise: Promise<unknown>): Promise<unknown> {
  let state: unknown = "pending";
  promise.then(() => state = "resolved", (reason: unknown) => state = reason);
  for (let turn = 0; turn < 20; turn++) await undefined;
  return state;
}

it("a body is a header line and then exactly the payload's bytes", async () => {
  const { transport, published, take, deliver } = createHand();
  await take();
  const payload = Uint8Array.of(0, 10, 13, 255, 10);
  await transport.push([job({ payload, meta: '{"v":1,"of":"\\n"}', id: "a\nb", name: "näme" })], CALL);
  const [body] = published;
  const text = textOf(body?.subarray(0, body.indexOf(10)) ?? new Uint8Array());
  expect(text).toMatch(/^relevo\/1 \{"id":"a\\nb","name":"näme","queue":"work","meta":/);
  expect(body?.subarray(-5)).toEqual(payload);
  void deliver(body);
  expect(await take()).toMatchObject([{ id: "a\nb", name: "näme", meta: '{"v":1,"of":"\\n"}', payload }]);
});

it.each([
  "",
  "{}",
  "relevo/1 ",
  "relevo/1 {}\nx",
  'relevo/1 {"id":"1","name":"n","meta":"","delay":-1}\n',
  "relevo/2 {}\n",
])(
  "a body of another program is a raw entry: %j",
  async (text) => {
    const { take, deliver } = createHand();
    await take();
    void deliver(bytes(text));
    void deliver(bytes(text));
    const [first, second] = await take();
    expect(first).toMatchObject({ queue: "work", name: "work", meta: "", payload: bytes(text) });
    expect(second?.id).not.toBe(first?.id);
  },
);

it("a broker may use its array again as soon as its callback has returned", async () => {
  const { transport, published, take, deliver } = createHand();
  await take();
  await transport.push([job()], CALL);
  void deliver(published[0]);
  published[0]?.fill(0);
  expect(await take()).toMatchObject([{ payload: bytes("payload") }]);
});

it("what is no bytes is refused, and the callback hears it", async () => {
  const { receivers, take } = createHand();
  await take();
  const error = await rejection(receivers.get("work")?.("text" as never) ?? Promise.resolve());
  expect(error).toBeInstanceOf(TypeError);
  expect(error.message).toContain("must be a Uint8Array");
});

it.each<[string, () => unknown]>([
  ["a text", () => "text"],
  ["a number", () => 5],
  ["null", () => null],
  ["a symbol", () => Symbol("x")],
  ["an ArrayBuffer", () => new ArrayBuffer(3)],
  ["bytes that were given away", () => {
    const gone = bytes("gone");
    structuredClone(gone.buffer, { transfer: [gone.buffer] });
    return gone;
  }],
])(
  "%s that comes before or after the broker has subscribed is no job, and the callback hears it and throws nothing",
  async (_, body) => {
    const answers: Promise<void>[] = [];
    const { transport, runtime, receivers } = createHand({
      subscribe(topic, receive) {
        receivers.set(topic, receive);
        answers.push(receive(body() as never));
      },
    });
    expect(await transport.reserve(["work"], TAKE)).toEqual([]);
    answers.push(receivers.get("work")?.(body() as never) ?? Promise.resolve());
    for (const answer of answers) expect(await rejection(answer)).toBeInstanceOf(TypeError);
    await runtime.settle();
    expect(answers).toHaveLength(2);
    expect(await transport.info("work", CALL)).toMatchObject({ waiting: 0, reserved: 0, failed: 0 });
  },
);

it("the callback's promise waits through releases, and resolves when the job is done", async () => {
  const { transport, published, take, deliver, settle } = createHand();
  await take();
  await transport.push([job()], CALL);
  const answer = deliver(published[0]);
  await settle("release");
  expect(await stateOf(answer)).toBe("pending");
  await settle("done");
  expect(await stateOf(answer)).toBe("resolved");
});

it("the callback's promise resolves when the job is dead, and when an operator removed it", async () => {
  const { transport, published, take, deliver } = createHand();
  await take();
  await transport.push([job({ id: "dead" }), job({ id: "removed" }), job({ id: "left" })], CALL);
  const answers = published.map((body) => deliver(body));
  const [delivery] = await transport.reserve(["work"], { ...TAKE, limit: 1 });
  const { queue = "", token = "" } = delivery ?? {};
  await transport.settle([{ queue, token, to: "failed", meta: "{}", reason: "r" }], CALL);
  expect(await transport.remove("work", "waiting", { ids: ["removed"] }, CALL)).toBe(1);
  expect(await Promise.all(answers.map(stateOf))).toEqual(["resolved", "resolved", "pending"]);
});

it("a body that comes again while its job is live joins it, and comes as a job of its own after that", async () => {
  const { transport, published, take, deliver, settle } = createHand();
  await take();
  await transport.push([job()], CALL);
  const answers = [deliver(published[0]), deliver(published[0])];
  expect(await transport.info("work", CALL)).toMatchObject({ waiting: 1 });
  await settle("done");
  expect(await Promise.all(answers.map(stateOf))).toEqual(["resolved", "resolved"]);
  const again = deliver(published[0]);
  await settle("done");
  await again;
});

it("a body joins the job that an operator reloaded, and its id is refused", async () => {
  const { transport, published, take, deliver, settle } = createHand();
  await take();
  await transport.push([job({ idWindow: 0 })], CALL);
  void deliver(published[0]);
  const [delivery] = await take();
  const { queue = "", token = "" } = delivery ?? {};
  await transport.settle([{ queue, token, to: "failed", meta: "{}", reason: "r" }], CALL);
  await transport.reload("work", "failed", "all", { ...CALL, reset: false });
  expect(await transport.push([job({ idWindow: 0 })], CALL)).toEqual(["duplicate"]);
  const again = deliver(published[0]);
  expect(await transport.info("work", CALL)).toMatchObject({ waiting: 1 });
  await settle("done");
  await again;
});

it("an id is refused within its window though nobody here is subscribed, and not if the broker refused its job", async () => {
  let broken = true;
  const { transport, runtime } = createHand({
    publish() {
      if (broken) throw new Error("full");
    },
  });
  const pushed = job({ idWindow: 1_000 });
  expect(await transport.push([pushed], CALL)).toMatchObject([{ code: "TRANSPORT_UNAVAILABLE" }]);
  broken = false;
  expect(await transport.push([pushed, pushed], CALL)).toEqual(["stored", "duplicate"]);
  await runtime.advance(1_001);
  expect(await transport.push([pushed], CALL)).toEqual(["stored"]);
});

it("a delay goes on while the broker keeps the body, and an instant stays what it is", async () => {
  const { transport, published, runtime, take, deliver } = createHand();
  await take();
  const at = runtime.now() + 5_000;
  await transport.push([job({ id: "delay", delay: 5_000 }), job({ id: "at", at })], CALL);
  await runtime.advance(2_000);
  for (const body of published) void deliver(body);
  expect(await transport.info("work", CALL)).toMatchObject({ delayed: 2 });
  await runtime.advance(2_999);
  expect(await take()).toEqual([]);
  await runtime.advance(2);
  expect((await take()).map(({ id }) => id).toSorted()).toEqual(["at", "delay"]);
});

it("a publisher whose clock is wrong makes a delay no longer than it is", async () => {
  const { transport, published, runtime, take, deliver } = createHand();
  await take();
  await transport.push([job({ delay: 5_000 })], CALL);
  runtime.step(-3_600_000);
  void deliver(published[0]);
  await runtime.advance(5_000);
  expect(await take()).toHaveLength(1);
});

it("what the broker throws rejects the dispatch as its cause, and errors of Relevo go through as they are", async () => {
  const cause = new Error("the disk is full");
  const full = new TransportFull("The broker is full");
  const runtime = createFakeRuntime();
  const errors: unknown[] = [cause, "no error", full];
  const { transport } = createHand({
    publish: (topic) => {
      if (topic === "sync") throw cause;
      return Promise.reject(errors.shift());
    },
  });
  const relay = makePlace({ runtime, connect: () => transport }).relay({
    ...jobs,
    sync: { schema: free<unknown>(), queue: "sync" },
  });
  const error = await drive(runtime, rejection(relay.dispatch("sync", 1)));
  expect(error).toBeInstanceOf(TransportError);
  expect(error).toMatchObject({ code: "TRANSPORT_UNAVAILABLE", cause });
  expect(error.message).not.toContain("disk");
  expect(await drive(runtime, rejection(relay.dispatch("job", 1)))).toMatchObject({ cause });
  expect(await drive(runtime, rejection(relay.dispatch("job", 1)))).toMatchObject({ cause: "no error" });
  expect(await drive(runtime, rejection(relay.dispatch("job", 1)))).toBe(full);
});

it("a broker that never answers makes the outcome unknown at the deadline, and one that is slower than the rest nobody else's", async () => {
  const { transport, runtime } = createHand({
    publish: (_, body) => body.at(-1) === 1 ? new Promise(() => undefined) : Promise.resolve(),
  });
  const answer = transport.push([job({ payload: bytes("x") }), job({ payload: Uint8Array.of(1) })], CALL);
  await runtime.advance(1_001);
  const [stored, unknown] = await answer;
  expect(stored).toBe("stored");
  expect(unknown).toBeInstanceOf(OutcomeUnknown);
  expect(unknown).toMatchObject({ cause: { code: "DEADLINE_EXCEEDED" } });
});

it("a job that comes back to its publisher is stored, though the broker waits for its end", async () => {
  const runtime = createFakeRuntime();
  const topics = new Map<string, Receive>();
  const transport = fromBroker({
    async publish(topic, body) {
      await topics.get(topic)?.(body);
    },
    subscribe: (topic, receive) => void topics.set(topic, receive),
    runtime,
  });
  const relay = makePlace({ runtime, connect: () => transport }).relay(jobs);
  const gate = door();
  let ended = false;
  relay.handle("job", async () => {
    await gate.opened;
    ended = true;
  });
  const worker = running(relay);
  await runtime.settle();
  expect(await drive(runtime, relay.dispatch("job", 1))).toMatchObject({ status: "stored" });
  expect(ended).toBe(false);
  gate.open();
  await runtime.settle();
  expect(ended).toBe(true);
  await worker.abort();
});

it("what a broker hands over before it has subscribed is kept until it has", async () => {
  const subscribed = door();
  const { transport, runtime, receivers } = createHand({
    async subscribe(topic, receive) {
      receivers.set(topic, receive);
      await subscribed.opened;
    },
  });
  const reserving = transport.reserve(["work"], { ...TAKE, wait: 10_000 });
  const answer = receivers.get("work")?.(bytes("early")) ?? Promise.resolve();
  await runtime.settle();
  expect(await transport.info("work", CALL)).toMatchObject({ waiting: 0 });
  subscribed.open();
  expect(await reserving).toMatchObject([{ payload: bytes("early") }]);
  expect(await stateOf(answer)).toBe("pending");
});

it("a subscription that never begins rejects the reserve at its deadline, and is ended when it begins after all", async () => {
  const subscribed = door();
  let ended = 0;
  let begun = 0;
  const { transport, runtime } = createHand({
    async subscribe() {
      begun++;
      if (begun === 1) await subscribed.opened;
      return () => void ended++;
    },
  });
  const error = rejection(transport.reserve(["work"], TAKE));
  await runtime.advance(1_001);
  expect(await error).toMatchObject({ code: "DEADLINE_EXCEEDED" });
  expect(await transport.reserve(["work"], TAKE)).toEqual([]);
  expect([begun, ended]).toEqual([2, 0]);
  subscribed.open();
  await runtime.settle();
  expect([begun, ended]).toEqual([2, 1]);
});

it("a body that a failed subscription brings is refused", async () => {
  let receive: Receive | undefined;
  const { transport, runtime } = createHand({
    subscribe(_, given) {
      receive = given;
      throw new Error("not today");
    },
  });
  expect(await rejection(transport.reserve(["work"], TAKE))).toMatchObject({ code: "TRANSPORT_UNAVAILABLE" });
  const error = await rejection(receive?.(bytes("x")) ?? Promise.resolve());
  expect(error).toMatchObject({ code: "TRANSPORT_UNAVAILABLE" });
  await runtime.settle();
  expect(await transport.info("work", CALL)).toMatchObject({ waiting: 0 });
});

it("closing ends subscriptions of every form, refuses what comes after that, and lets the broker have what is not done", async () => {
  const ended: string[] = [];
  const runtime = createFakeRuntime();
  const receivers: Receive[] = [];
  const transport = fromBroker({
    publish: () => undefined,
    subscribe(topic, receive) {
      receivers.push(receive);
      const end = () => void ended.push(topic);
      if (topic === "function") return end;
      if (topic === "async function") return () => Promise.resolve().then(end);
      if (topic === "disposable") return { [Symbol.dispose]: end };
      if (topic === "async disposable") {
        return Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve().then(end) });
      }
      return undefined;
    },
    runtime,
  });
  const topics = ["function", "async function", "disposable", "async disposable", "nothing"];
  await transport.reserve(topics, TAKE);
  const open = receivers.map((receive) => rejection(receive(bytes("x"))));
  await transport[Symbol.asyncDispose]();
  expect(ended.toSorted()).toEqual(topics.slice(0, 4).toSorted());
  const late = receivers.map((receive) => rejection(receive(bytes("x"))));
  for (const error of await Promise.all([...open, ...late])) {
    expect(error).toMatchObject({ code: "TRANSPORT_CLOSED" });
  }
  expect(runtime.sleepers).toBe(0);
});

it("a subscription that cannot be ended is told to who closes, when all else is closed", async () => {
  const cause = new Error("gone already");
  const runtime = createFakeRuntime();
  const ended: string[] = [];
  const transport = fromBroker({
    publish: () => undefined,
    subscribe: (topic) => () => {
      if (topic === "bad") throw cause;
      ended.push(topic);
    },
    runtime,
  });
  await transport.reserve(["bad", "good"], TAKE);
  expect(await rejection(Promise.resolve(transport[Symbol.asyncDispose]()))).toMatchObject({
    code: "TRANSPORT_UNAVAILABLE",
    cause,
  });
  expect(ended).toEqual(["good"]);
  expect(runtime.sleepers).toBe(0);
});

it("closing while a dispatch is under way makes its outcome unknown", async () => {
  const { transport } = createHand({ publish: () => new Promise(() => undefined) });
  const answer = transport.push([job()], CALL);
  await transport[Symbol.asyncDispose]();
  expect(await answer).toMatchObject([{ code: "OUTCOME_UNKNOWN", cause: { code: "TRANSPORT_CLOSED" } }]);
});

it("with handlesRetries, what is refused for good or rescheduled is the broker's no more", async () => {
  const runtime = createFakeRuntime();
  const { publish, subscribe } = broadcast();
  const answers: Promise<void>[] = [];
  const transport = fromBroker({
    publish,
    subscribe: (topic, receive) =>
      subscribe(topic, (body) => {
        const answer = receive(body);
        answers.push(answer);
        return answer;
      }),
    handlesRetries: true,
    runtime,
  });
  expect(transport.features.handlesRetries).toBe(true);
  const relay = makePlace({ runtime, connect: () => transport }).relay({
    job: { schema: free<unknown>(), timeout: 1_000 },
  });
  let rescheduled = false;
  relay.handle("job", async (payload, { signal }) => {
    if (payload === "refuse") return deadLetter({ reason: "no" });
    if (payload === "later") return rescheduled ? undefined : (rescheduled = true, reschedule(after(5_000)));
    return await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  });
  const worker = running(relay);
  await runtime.settle();
  await drive(
    runtime,
    Promise.all(["refuse", "later", "hang"].map((payload) => relay.dispatch("job", payload))),
  );
  await runtime.advance(2_000);
  expect(await Promise.all(answers.map(stateOf))).toMatchObject(["resolved", "pending", {
    name: "JobTimeout",
  }]);
  expect(await relay.info()).toMatchObject({ failed: 1, timeout: 0, delayed: 1 });
  await runtime.advance(5_000);
  expect(await stateOf(answers[1] ?? Promise.resolve())).toBe("resolved");
  await worker.abort();
});

it("a message of a topic ends when every group's job has, and comes again if one of them failed", async () => {
  const { transport, published, take, deliver } = createHand({ handlesRetries: true });
  await take();
  for (const group of ["a", "b"]) await transport.topics?.bind("orders", group, CALL);
  await transport.push([job({ queue: "orders@" })], CALL);
  const answer = deliver(published[0], "orders@");
  const deliveries = await transport.reserve(["orders@a", "orders@b"], TAKE);
  expect(deliveries.map(({ queue }) => queue)).toEqual(["orders@a", "orders@b"]);
  const failure = new Error("not yet");
  const dead = { to: "failed", meta: "{}", reason: "returned", failure } as const;
  const [first, second] = deliveries.map(({ queue, token }) => ({ queue, token }));
  await transport.settle(first === undefined ? [] : [{ ...first, ...dead }], CALL);
  expect(await stateOf(answer)).toBe("pending");
  await transport.settle(second === undefined ? [] : [{ ...second, to: "done" }], CALL);
  expect(await stateOf(answer)).toBe(failure);
  void deliver(published[0], "orders@");
  expect(await transport.reserve(["orders@a", "orders@b"], TAKE)).toHaveLength(2);
});

it("what waits in a topic ends with the job of the first group that is bound", async () => {
  const { transport, published, deliver } = createHand();
  const { topics } = transport;
  await topics?.bind("orders", "a", CALL);
  await topics?.unbind("orders", "a", CALL);
  await transport.push([job({ queue: "orders@", idWindow: 0 })], CALL);
  const answer = deliver(published[0], "orders@");
  await topics?.bind("orders", "b", CALL);
  expect(await transport.push([job({ queue: "orders@", idWindow: 0 })], CALL)).toEqual(["duplicate"]);
  const [delivery] = await transport.reserve(["orders@b"], TAKE);
  const { queue = "", token = "" } = delivery ?? {};
  expect(await stateOf(answer)).toBe("pending");
  await transport.settle([{ queue, token, to: "done" }], CALL);
  expect(await stateOf(answer)).toBe("resolved");
});

it.each<[object, string]>([
  [{ subscribe: () => undefined }, "'publish' must be a function"],
  [{ publish: () => undefined, subscribe: 1 }, "'subscribe' must be a function"],
  [{ publish: () => undefined, subscribe: () => undefined, handlesRetries: "no" }, "'handlesRetries'"],
  [{ publish: () => undefined, subscribe: () => undefined, name: "" }, "'name'"],
  [{ publish: () => undefined, subscribe: () => undefined, retries: 1 }, "no option 'retries'"],
])("what is no broker is refused: %#", (options, message) => {
  expect(thrown(() => fromBroker(options as never)).message).toContain(message);
});

/** Lets a promise of a relay's settle. */
async function drive<T>(runtime: { settle(): Promise<void> }, promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  await runtime.settle();
  return await promise;
}
