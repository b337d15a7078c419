import { describe, test } from "vitest";
import { bytes, QUEUE } from "../../src/testing/conformance/lab.ts";
import { conformance, createFakeRuntime, type Subject } from "../../src/testing/mod.ts";
import type { Features, Transport } from "../../src/contract/transport.ts";
import { fromBroker } from "../../src/transports/broker/mod.ts";
import { type Bare, competing, subscribed } from "./support/bare_brokers.ts";

/** What every bridge must declare. */
const FEATURES: Features = {
  durable: false,
  shared: false,
  exactFence: true,
  exactInfo: false,
  atomicPush: false,
  remote: false,
  clock: "process",
  idLive: false,
  idWindow: false,
};

/** What is true as long as nobody else is on the broker. */
const ALONE = { exactInfo: true, idLive: true, idWindow: true };

function subject(name: string, features: Features, bridge: (broker: Bare) => Transport): Subject {
  const brokers = new Map<string, Bare>();
  const silences = new Map<string, Promise<void>>();
  return {
    name,
    features,
    topics: true,
    async create(store) {
      const broker = competing();
      brokers.set(store, broker);
      const transport = bridge({
        ...broker,
        publish(topic, body, call) {
          // What a silent broker was sent it gets when it goes on.
          const silence = silences.get(store);
          if (silence === undefined) return broker.publish(topic, body, call);
          return silence.then(() => broker.publish(topic, body, call));
        },
      });
      // Where calls are not awaited, a subscription would come between them.
      await transport.reserve([QUEUE], { limit: 1, slots: 0, lease: 1, wait: 0, deadline: 1_000 });
      return transport;
    },
    pause(store) {
      const { promise, resolve } = Promise.withResolvers<void>();
      silences.set(store, promise);
      return Promise.resolve(() => {
        silences.delete(store);
        resolve();
        return Promise.resolve();
      });
    },
    async raw(store, queue, payload) {
      await brokers.get(store)?.publish(queue, payload, { deadline: 1_000 });
    },
    async inject(store, { queue, id, name = queue, meta = "", payload = new Uint8Array() }) {
      const given = id ?? crypto.randomUUID();
      const line = bytes(`relevo/1 ${JSON.stringify({ id: given, name, queue, meta })}\n`);
      const body = new Uint8Array([...line, ...payload]);
      const refusals: unknown[] = [];
      // It resolves when the job is done, which it may never be.
      Promise.resolve(brokers.get(store)?.publish(queue, body, { deadline: 1_000 }))
        .catch((reason) => refusals.push(reason));
      await runtime.settle();
      if (refusals.length > 0) throw refusals[0];
    },
    runtime: () => runtime,
    elapse: (ms) => runtime.advance(ms),
    now: () => runtime.now(),
    step: (ms) => runtime.step(ms),
    alive: () => runtime.sleepers,
  };
}

const runtime = createFakeRuntime();

const alone = subject("a broker of one process", { ...FEATURES, ...ALONE }, (broker) => {
  const transport = fromBroker({ ...broker, runtime });
  return subscribed(transport, { features: { ...transport.features, ...ALONE }, known: [QUEUE] });
});

const apart = subject("a broker between two", { ...FEATURES, handlesRetries: true }, (broker) => {
  const publisher = fromBroker({ ...broker, runtime });
  const worker = fromBroker({ ...broker, handlesRetries: true, runtime });
  const transport = subscribed(worker, { push: publisher.push, known: [QUEUE] });
  return {
    ...transport,
    async [Symbol.asyncDispose]() {
      await Promise.all([publisher[Symbol.asyncDispose](), worker[Symbol.asyncDispose]()]);
    },
  };
});

for (const each of [alone, apart]) {
  describe(`${each.name} keeps the contract`, () => {
    for (const { group, name, run } of conformance(each)) test(`${group}: ${name}`, run);
  });
}
