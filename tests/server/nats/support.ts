/** Transports whose process may die between two of its writes, or stand still there. */
import { connect } from "@nats-io/transport-node";
import type { Transport } from "../../../src/transport.ts";
import { nats, type NatsConnection } from "../../../src/transports/nats/mod.ts";

/** Such a transport. */
export interface Cutting {
  readonly transport: Transport;
  /** Does something, and lets the process die at the first message of a kind; an acknowledgement unless told otherwise. */
  cut(call: () => Promise<unknown>, dies?: (subject: string) => boolean): Promise<void>;
}

/** Makes one, on a connection of its own. */
export async function cutting(url: string, prefix: string, ackWait: number): Promise<Cutting> {
  const real = await connect({ servers: url.replace("nats://", ""), reconnect: false });
  let dies: ((subject: string) => boolean) | undefined;
  const { promise: dead, resolve: die } = Promise.withResolvers<void>();
  let isDead = false;
  const connection = new Proxy(real, {
    get(target, key) {
      if (key !== "publish") {
        const value: unknown = Reflect.get(target, key);
        return typeof value === "function" ? value.bind(target) : value;
      }
      return (...parts: Parameters<typeof real.publish>) => {
        if (dies?.(parts[0]) === true && !isDead) {
          isDead = true;
          die();
        }
        if (!isDead) target.publish(...parts);
      };
    },
  });
  const transport = nats({ connection: connection as NatsConnection, prefix, ackWait });
  return {
    transport,
    async cut(call, kind = (subject) => subject.startsWith("$JS.ACK.")) {
      dies = kind;
      call().catch(() => undefined);
      await dead;
      await real.close();
      await transport[Symbol.asyncDispose]();
    },
  };
}

/** A transport that can stand still before a message of a kind is sent. */
export interface Halting extends AsyncDisposable {
  readonly transport: Transport;
  /** Does something up to the first message whose subject fits; resolves there, with what goes on. */
  halt<T>(call: () => Promise<T>, fits: (subject: string) => boolean): Promise<() => Promise<T>>;
}

/** Makes one, on a connection of its own. */
export async function halting(url: string, prefix: string, ackWait: number): Promise<Halting> {
  const real = await connect({ servers: url.replace("nats://", "") });
  let fits: ((subject: string) => boolean) | undefined;
  let halted: (() => void) | undefined;
  let held: (() => void)[] | undefined;
  const connection = new Proxy(real, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (key !== "publish") return typeof value === "function" ? value.bind(target) : value;
      return (...parts: Parameters<typeof real.publish>) => {
        if (fits?.(parts[0]) !== true) return target.publish(...parts);
        held?.push(() => target.publish(...parts));
        halted?.();
      };
    },
  });
  const transport = nats({ connection: connection as NatsConnection, prefix, ackWait });
  return {
    transport,
    async halt(call, kind) {
      held = [];
      fits = kind;
      const { promise, resolve } = Promise.withResolvers<void>();
      halted = resolve;
      const done = call();
      done.catch(() => undefined);
      await promise;
      return () => {
        fits = undefined;
        for (const send of held ?? []) send();
        return done;
      };
    },
    async [Symbol.asyncDispose]() {
      await transport[Symbol.asyncDispose]();
      await real.close();
    },
  };
}
