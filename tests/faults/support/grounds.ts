/** The servers on which scenes play, each with a store of its own for every scene. */
import { afterAll } from "vitest";
import type { Ground } from "../../server/faults/support/ground.ts";
import { type NatsServer, startNats } from "../../server/support/servers/nats.ts";
import { type RedisServer, startRedis } from "../../server/support/servers/redis.ts";

let stores = 0;

/** A prefix that no other scene has. */
export function freshPrefix(): string {
  return `faults-${++stores}`;
}

/** Redis whose log is synced before each answer: what it acknowledged outlives it and the machine. */
export async function redisGround(): Promise<Ground & { readonly server: RedisServer }> {
  const server = await startRedis({ config: { appendfsync: "always" } });
  afterAll(() => server[Symbol.asyncDispose]());
  return {
    name: "Redis",
    server,
    store: (_lease, port) => ({ kind: "redis", port, prefix: freshPrefix() }),
  };
}

export async function natsGround(): Promise<Ground & { readonly server: NatsServer }> {
  const server = await startNats();
  afterAll(() => server[Symbol.asyncDispose]());
  return {
    name: "NATS",
    server,
    store: (lease, port) => ({ kind: "nats", port, prefix: freshPrefix(), lease }),
  };
}
