/**
 * The ceiling on Redis: a stream through node-redis, without any job logic.
 *
 * @module
 */

import { redisClient } from "../lib/redis_client.ts";
import { type Contender, type OpenOptions, type Payload, type Subject, workOff } from "./contender.ts";
import { serverOf } from "./redis_peers.ts";

const KEY = "stream";
const GROUP = "group";
/** Entries of one read. */
const BATCH = "500";
/** Milliseconds that a read waits. */
const BLOCK = "1000";

type Entry = readonly [id: string, fields: readonly string[]];

/** XADD; XREADGROUP COUNT 500, the next one under way while this one's are handled; one XACK and one XDEL a batch. */
export const stream: Contender = { open: openStream };

async function openStream(options: OpenOptions): Promise<Subject> {
  const address = serverOf(options);
  const client = await redisClient(address);
  await client.sendCommand(["XGROUP", "CREATE", KEY, GROUP, "0", "MKSTREAM"]).catch(exists);
  const add = (payload: Payload): Promise<unknown> =>
    client.sendCommand(["XADD", KEY, "*", "payload", JSON.stringify(payload)]);
  const settle = async (ids: readonly string[]): Promise<void> => {
    await Promise.all([
      client.sendCommand(["XACK", KEY, GROUP, ...ids]),
      client.sendCommand(["XDEL", KEY, ...ids]),
    ]);
  };
  const subject: Required<Omit<Subject, "later">> = {
    one: add,
    many: (payloads) => Promise.all(payloads.map(add)),
    work: (total, concurrency) => workOff(subject, total, concurrency),
    async listen(entered) {
      const reader = await redisClient(address);
      let open = true;
      // deno-lint-ignore require-await
      const handler = async (_: Payload): Promise<void> => entered();
      const read = async (): Promise<readonly Entry[]> => {
        const answer = await reader.sendCommand(
          ["XREADGROUP", "GROUP", GROUP, "consumer", "COUNT", BATCH, "BLOCK", BLOCK, "STREAMS", KEY, ">"],
        );
        return (answer as Record<string, readonly Entry[]> | null)?.[KEY] ?? [];
      };
      const loop = async (): Promise<void> => {
        for (let next = read(); open;) {
          const entries = await next;
          next = read();
          for (const [, [, payload = ""]] of entries) await handler(JSON.parse(payload));
          if (entries.length > 0) void settle(entries.map(([id]) => id));
        }
      };
      const looping = loop().catch((error) => {
        if (open) throw error;
      });
      return async () => {
        open = false;
        reader.destroy();
        await looping;
      };
    },
    left: async () => Number(await client.sendCommand(["XLEN", KEY])),
    close: () => Promise.resolve(client.destroy()),
  };
  return subject;
}

/** Another process has made the group. */
function exists(error: unknown): void {
  if (!String(error).includes("BUSYGROUP")) throw error;
}
