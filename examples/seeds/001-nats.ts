// Run it: npm install, then node examples/seeds/001-nats.ts on Node 22.18 or later, or npx tsx examples/seeds/001-nats.ts on an older one.
// Seed 001's broker for NATS, as a bridge: a bare subject for each topic, a durable group on it, ack and nak.
// It needs a server with JetStream: NATS_URL says where, 127.0.0.1:4222 by default.
// For jobs of your own take `nats` of "@relevo/relevo/nats", which keeps every promise; a bridge keeps what its broker does.
import process from "node:process";
import { connect, type Msg, type NatsConnection } from "@nats-io/transport-node";
import * as v from "valibot";
import { createRelay, fromBroker, type Transport } from "../../mod.ts";

interface Options {
  /** The durable consumer, whose members share the messages. */
  readonly group?: string;
  /** Deliveries in all. */
  readonly maxDeliver?: number;
  /** Milliseconds after which a message without an answer comes again. */
  readonly ackWait?: number;
}

/** Calls the API of JetStream; a server says in its answer what went wrong. */
async function api(connection: NatsConnection, subject: string, body: object): Promise<void> {
  const answer = await connection.request(`$JS.API.${subject}`, JSON.stringify(body), { timeout: 30_000 });
  const { error } = answer.json<{ error?: { description: string } }>();
  if (error !== undefined) throw new Error(`NATS refused ${subject}: ${error.description}`);
}

/** A stream's name for any topic: what is no letter, digit, '-' or '_' becomes '_', and a digest tells such names apart. */
async function streamOf(topic: string): Promise<string> {
  const kept = topic.replace(/[^\p{L}\p{Nd}_-]/gu, "_");
  if (kept === topic) return topic;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(topic)));
  return `${kept}_${Array.from(digest.slice(0, 4), (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

function natsBroker(connection: NatsConnection, options: Options = {}): Transport {
  const { group = "go-relay", maxDeliver = 3, ackWait = 30_000 } = options;
  /** Made by whichever comes first, so that what is published before any subscription is kept. */
  const ensure = async (topic: string): Promise<string> => {
    const name = await streamOf(topic);
    await api(connection, `STREAM.CREATE.${name}`, { name, subjects: [topic] });
    return name;
  };
  return fromBroker({
    name: "nats bridge",
    handlesRetries: true,
    async publish(topic, body) {
      await ensure(topic);
      const answer = await connection.request(topic, body, { timeout: 30_000 });
      const { error } = answer.json<{ error?: { description: string } }>();
      if (error !== undefined) throw new Error(`NATS refused a message: ${error.description}`);
    },
    async subscribe(topic, receive) {
      const stream = await ensure(topic);
      const inbox = `_deliver.${stream}.${group}`;
      await api(connection, `CONSUMER.DURABLE.CREATE.${stream}.${group}`, {
        stream_name: stream,
        config: {
          durable_name: group,
          deliver_subject: inbox,
          deliver_group: group,
          deliver_policy: "all",
          filter_subject: topic,
          ack_policy: "explicit",
          ack_wait: ackWait * 1e6,
          max_deliver: maxDeliver,
        },
      });
      const take = (message: Msg): void => {
        receive(message.data).then(() => message.respond("+ACK"), () => message.respond("-NAK"));
      };
      const subscription = connection.subscribe(inbox, {
        queue: group,
        callback: (error, message) => error === null ? take(message) : subscription.unsubscribe(),
      });
      return () => subscription.unsubscribe();
    },
  });
}

const connection = await connect({ servers: process.env.NATS_URL ?? "127.0.0.1:4222" });
const relay = createRelay({
  // The queue's name is the subject.
  jobs: {
    "order.created": { schema: v.object({ id: v.string(), amount: v.number() }), queue: "orders.created" },
  },
  transport: natsBroker(connection, { group: "billing", maxDeliver: 3 }),
  log: false,
});
const stop = new AbortController();
let runs = 0;
relay.handle("order.created", ({ id, amount }) => {
  console.log(`order ${id}: ${amount}, delivery ${++runs}`);
  if (runs < 3) throw new Error("the bank is away");
});
relay.events.addEventListener("completed", () => stop.abort());

// Published before any consumer is there, and kept.
console.log((await relay.dispatch("order.created", { id: "abc", amount: 9.99 })).status);
await relay.run({ signal: stop.signal });
await relay.close();
await connection.flush();

const info = await connection.request(
  `$JS.API.CONSUMER.INFO.${await streamOf("orders.created")}.billing`,
  "",
  { timeout: 30_000 },
);
const { num_ack_pending, config } = info.json<
  { num_ack_pending: number; config: { durable_name: string; filter_subject: string } }
>();
console.log(`${config.durable_name} on ${config.filter_subject}: ${num_ack_pending} unacknowledged`);
await connection.close();
