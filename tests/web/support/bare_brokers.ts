/** Bare brokers as a user may write one: each does one thing, in twenty lines or fewer. */
import type { BrokerOptions, Receive, Transport } from "../../../mod.ts";
import { partsOf } from "../../../src/names.ts";

/** What {@linkcode fromBroker} needs of one. */
export type Bare = Pick<BrokerOptions, "publish" | "subscribe">;

/** As the memory broker of seed 001: each subscriber gets each body at once, and nobody looks at what it answers. */
export function broadcast(): Bare {
  const topics = new Map<string, Set<Receive>>();
  return {
    publish(topic, body) {
      for (const receive of topics.get(topic) ?? []) void receive(body);
    },
    subscribe(topic, receive) {
      const subscribers = topics.get(topic) ?? new Set();
      topics.set(topic, subscribers.add(receive));
      return () => void subscribers.delete(receive);
    },
  };
}

/** Each body goes to one subscriber, in turn; without one it waits for the first. */
export function competing(): Bare {
  const topics = new Map<string, { readonly kept: Uint8Array[]; readonly subscribers: Receive[] }>();
  const topicOf = (name: string) => {
    const topic = topics.get(name) ?? { kept: [], subscribers: [] };
    topics.set(name, topic);
    return topic;
  };
  return {
    publish(name, body) {
      const { kept, subscribers } = topicOf(name);
      const next = subscribers.shift();
      if (next === undefined) return void kept.push(body);
      subscribers.push(next);
      void next(body);
    },
    subscribe(name, receive) {
      const { kept, subscribers } = topicOf(name);
      subscribers.push(receive);
      for (const body of kept.splice(0)) void receive(body);
      return () => void subscribers.splice(subscribers.indexOf(receive), 1);
    },
  };
}

/** Delivers a body again when it is refused, so many times in all; `dead` gets what was refused the last time. */
export function redelivering(times: number): Bare & { readonly dead: unknown[] } {
  const topics = new Map<string, Receive>();
  const dead: unknown[] = [];
  async function deliver(topic: string, body: Uint8Array, left: number): Promise<void> {
    try {
      await topics.get(topic)?.(body);
    } catch (reason) {
      if (left > 1) await deliver(topic, body, left - 1);
      else dead.push(reason);
    }
  }
  return {
    dead,
    publish: (topic, body) => void deliver(topic, body, times),
    subscribe(topic, receive) {
      topics.set(topic, receive);
      return { [Symbol.dispose]: () => void topics.delete(topic) };
    },
  };
}

/** What a test says of a bridge that it looks into. */
export interface Look {
  /** Who publishes. Default: the bridge itself. */
  readonly push?: Transport["push"];
  /** What it declares. Default: its own. */
  readonly features?: Transport["features"];
  /** Queues that are subscribed already. */
  readonly known?: readonly string[];
}

/** A bridge that subscribes to what is pushed: for tests that look into a queue before any worker came. */
export function subscribed(transport: Transport, look: Look = {}): Transport {
  const { push = transport.push, features = transport.features } = look;
  const call = { deadline: 1_000 };
  const known = new Set(look.known);
  async function subscribe(queue: string): Promise<void> {
    known.add(queue);
    const { topic, group } = partsOf(queue);
    if (topic === undefined || group !== "") {
      await transport.reserve([queue], { ...call, limit: 1, slots: 0, lease: 1, wait: 0 });
    } else {
      await transport.topics?.bind(topic, "nobody", call);
      await transport.topics?.unbind(topic, "nobody", call);
    }
  }
  return {
    ...transport,
    features,
    async push(jobs, options) {
      // A batch may be none, and a queue no name: the bridge says so itself.
      const queues = Array.isArray(jobs) ? jobs.map(({ queue }) => queue) : [];
      const fresh = new Set(queues.filter((queue) => !known.has(queue)));
      if (fresh.size > 0) await Promise.allSettled([...fresh].map(subscribe));
      return await push(jobs, options);
    },
  };
}
