/**
 * The ceiling on NATS: nats.js publish, consume and ack, without any job logic.
 *
 * @module
 */

import { load } from "../lib/load.ts";
import type { Contender, OpenOptions, Payload, Subject } from "./contender.ts";
import { workOff } from "./contender.ts";
import { serverOf } from "./redis_peers.ts";

/** What is used of nats.js. */
interface Connection {
  flush(): Promise<void>;
  close(): Promise<void>;
}

interface Message {
  readonly data: Uint8Array;
  json(): Payload;
  ack(): void;
}

interface Messages extends AsyncIterable<Message> {
  close(): Promise<unknown>;
}

interface JetStream {
  publish(subject: string, data: string): Promise<unknown>;
  readonly consumers: {
    get(stream: string, consumer: string): Promise<{ consume(options: object): Promise<Messages> }>;
  };
}

interface Manager {
  readonly streams: { add(config: object): Promise<unknown> };
  readonly consumers: {
    add(stream: string, config: object): Promise<unknown>;
    info(stream: string, consumer: string): Promise<{ num_pending: number; num_ack_pending: number }>;
  };
}

interface JetStreamModule {
  jetstream(connection: Connection): JetStream;
  jetstreamManager(connection: Connection): Promise<Manager>;
}

const NAME = "jobs";
/** Messages asked for at once. */
const BATCH = 500;

/** A work-queue stream on file, an explicit ack for each message. */
export const jetstream: Contender = { open: openJetStream };

async function openJetStream(options: OpenOptions): Promise<Subject> {
  const { host, port } = serverOf(options);
  const { connect } = await load<{ connect(options: object): Promise<Connection> }>(
    "@nats-io/transport-node",
  );
  const module = await load<JetStreamModule>("@nats-io/jetstream");
  const connection = await connect({ servers: `${host}:${port}` });
  const [stream, manager] = [module.jetstream(connection), await module.jetstreamManager(connection)];
  await manager.streams.add({ name: NAME, subjects: [NAME], retention: "workqueue", storage: "file" });
  await manager.consumers.add(NAME, { durable_name: NAME, ack_policy: "explicit", max_ack_pending: -1 });
  const add = (payload: Payload): Promise<unknown> => stream.publish(NAME, JSON.stringify(payload));
  const subject: Required<Omit<Subject, "later">> = {
    one: add,
    many: (payloads) => Promise.all(payloads.map(add)),
    work: (total, concurrency) => workOff(subject, total, concurrency),
    async listen(entered) {
      const consumer = await stream.consumers.get(NAME, NAME);
      const messages = await consumer.consume({ max_messages: BATCH });
      // deno-lint-ignore require-await
      const handler = async (_: Payload): Promise<void> => entered();
      const loop = async (): Promise<void> => {
        for await (const message of messages) {
          await handler(message.json());
          message.ack();
        }
      };
      const looping = loop();
      return async () => {
        await messages.close();
        await looping;
      };
    },
    async left() {
      const { num_pending, num_ack_pending } = await manager.consumers.info(NAME, NAME);
      return num_pending + num_ack_pending;
    },
    close: () => connection.close(),
  };
  return subject;
}
