/** A transport on a server of the file's own, and short words for what its tests do all the time. */
import { afterAll, afterEach, beforeAll } from "vitest";
import type { Delivery, PushJob, ReserveOptions } from "../../../src/jobs/exchange.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { redis, type RedisOptions } from "../../../src/transports/redis/mod.ts";
import {
  type RedisOptions as ServerOptions,
  type RedisServer,
  startRedis,
} from "../support/servers/redis.ts";

/** A deadline that no call of these tests needs. */
export const call = { deadline: 60_000 };

/** What a file's tests have at hand. */
export interface Scene {
  readonly server: RedisServer;
  /** Another client. */
  open(options?: RedisOptions): Transport;
  /** One command of an operator. */
  send(...args: readonly (string | number | Uint8Array)[]): Promise<unknown>;
}

/** Starts a server for the file, empties it after each test, and closes what the test opened. */
export function scene(options: ServerOptions = {}): Scene {
  let server: RedisServer;
  const clients: Transport[] = [];
  beforeAll(async () => {
    server = await startRedis(options);
  }, 120_000);
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client[Symbol.asyncDispose]()));
    await server.send("FLUSHALL");
  });
  afterAll(() => server[Symbol.asyncDispose]());
  return {
    get server() {
      return server;
    },
    open(more = {}) {
      const client = redis({ url: server.url, warn: () => {}, ...more });
      clients.push(client);
      return client;
    },
    send: (...args) => server.send(...args),
  };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A job with whatever a test does not care about filled in. */
export function job(id: string, part: Partial<PushJob> = {}): PushJob {
  return { queue: "q", id, name: "n", payload: encoder.encode(`"${id}"`), meta: `{"v":1}`, ...part };
}

/** A payload as text. */
export function text(payload: Uint8Array | undefined): string {
  return decoder.decode(payload);
}

/** Takes what is there. */
export function take(
  transport: Transport,
  limit = 1,
  options: Partial<ReserveOptions> = {},
  queue = "q",
): Promise<readonly Delivery[]> {
  return transport.reserve([queue], { limit, slots: limit, lease: 60_000, wait: 0, ...call, ...options });
}

/** Takes the one job that must be there. */
export async function one(transport: Transport, options: Partial<ReserveOptions> = {}): Promise<Delivery> {
  const [delivery] = await take(transport, 1, options);
  if (delivery === undefined) throw new Error("No job was there");
  return delivery;
}

/** How a delivery is named in a settlement. */
export function held({ queue, token }: Delivery): { queue: string; token: string } {
  return { queue, token };
}
