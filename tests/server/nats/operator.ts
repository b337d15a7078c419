/** What an operator does to the consumers of a queue, and another program to its jobs. */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { expect } from "vitest";
import type { NatsServer } from "../support/servers/nats.ts";

/** An operator's connection. */
export interface Operator extends AsyncDisposable {
  /** Calls the API of JetStream. */
  api(subject: string, body?: object): Promise<Record<string, unknown>>;
  /** Makes the consumer of waiting jobs anew, by the operator's own settings. */
  limit(settings: object, consumer?: string): Promise<void>;
  /** Takes the next job as a worker does, and never ends it. */
  takes(): Promise<void>;
  /** Asks for a job, and hears nothing of what comes. */
  asks(): Promise<void>;
  /** Numbers of the messages of which the server said that it gives them up. */
  readonly givenUp: readonly number[];
}

/** Connects one who looks after the queue `work`. */
export async function operate(
  server: NatsServer,
  prefix: string,
  user: { readonly user?: string; readonly pass?: string } = {},
): Promise<Operator> {
  const connection: NatsConnection = await connect({ servers: server.url.replace("nats://", ""), ...user });
  const stream = `${prefix}_work`;
  const givenUp: number[] = [];
  connection.subscribe(`$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.${stream}.*`, {
    callback: (_, message) => void givenUp.push(message.json<{ stream_seq: number }>().stream_seq),
  });
  const api = async (subject: string, body?: object): Promise<Record<string, unknown>> => {
    const text = body === undefined ? "" : JSON.stringify(body);
    const told = await connection.request(`$JS.API.${subject}`, text, { timeout: 60_000 });
    const answer: Record<string, unknown> = told.json();
    expect(answer["error"], subject).toBeUndefined();
    return answer;
  };
  return {
    api,
    givenUp,
    async limit(settings, consumer = "relevo") {
      const line = consumer.endsWith("_back") ? "b" : consumer.endsWith("_delayed") ? "d" : "w";
      await api(`CONSUMER.DELETE.${stream}.${consumer}`);
      await api(`CONSUMER.DURABLE.CREATE.${stream}.${consumer}`, {
        stream_name: stream,
        config: {
          durable_name: consumer,
          filter_subject: `${prefix}.work.${line}.>`,
          ack_policy: "explicit",
          max_ack_pending: -1,
          ...settings,
        },
      });
    },
    async takes() {
      const pull = JSON.stringify({ batch: 1, expires: 30_000_000_000 });
      const subject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.relevo`;
      // What comes bears the subject it was published to, which one inbox for all answers would not know.
      const message = await connection.request(subject, pull, { timeout: 60_000, noMux: true });
      expect(message.reply, message.headers?.description).toMatch(/^\$JS\.ACK\./);
    },
    async asks() {
      connection.publish(`$JS.API.CONSUMER.MSG.NEXT.${stream}.relevo`, '{"batch":1,"no_wait":true}', {
        reply: "nobody",
      });
      await connection.flush();
    },
    async [Symbol.asyncDispose]() {
      await connection.close();
    },
  };
}
