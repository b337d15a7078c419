/**
 * node-redis, for the ceiling and for the meter.
 *
 * @module
 */

import type { Address } from "../servers/address.ts";
import { load } from "./load.ts";

/** What is used of node-redis. */
export interface RedisClient {
  connect(): Promise<unknown>;
  sendCommand(args: readonly (string | Buffer)[]): Promise<unknown>;
  destroy(): void;
}

/** A connected node-redis client. */
export async function redisClient({ host, port }: Address): Promise<RedisClient> {
  const { createClient } = await load<{ createClient(options: object): RedisClient }>("redis");
  const client = createClient({ url: `redis://${host}:${port}`, RESP: 3 });
  await client.connect();
  return client;
}
