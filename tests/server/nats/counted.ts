/** A transport whose traffic is counted. */
import { connect } from "@nats-io/transport-node";
import type { Transport } from "../../../src/contract/transport.ts";
import { nats, type NatsConnection, type NatsOptions } from "../../../src/transports/nats/mod.ts";

/** What has gone through a connection. */
export interface Traffic {
  sent: number;
  bytes: number;
}

/** A transport on a connection of its own, whose traffic is counted. */
export interface Counted extends AsyncDisposable {
  readonly transport: Transport;
  readonly traffic: Traffic;
}

/** Makes one. */
export async function counted(urls: readonly string[], options: Partial<NatsOptions>): Promise<Counted> {
  const real = await connect({ servers: urls.map((url) => url.replace("nats://", "")) });
  const traffic: Traffic = { sent: 0, bytes: 0 };
  const connection = new Proxy(real, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== "function") return value;
      if (key === "publish") traffic.sent++;
      if (key !== "subscribe") return value.bind(target);
      return (subject: string, { callback }: Parameters<NatsConnection["subscribe"]>[1]) =>
        target.subscribe(subject, {
          callback(error, message) {
            traffic.bytes += message.data.length;
            callback(error, message);
          },
        });
    },
  });
  const transport = nats({ ...options, connection: connection as NatsConnection });
  return {
    transport,
    traffic,
    async [Symbol.asyncDispose]() {
      await transport[Symbol.asyncDispose]();
      await real.close();
    },
  };
}
