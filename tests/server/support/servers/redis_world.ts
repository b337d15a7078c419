/** A Redis server under a clock that a test moves by hand, together with the runtime of all who use it. */
import { createFakeRuntime, type FakeRuntime } from "../../../../src/testing/mod.ts";
import { createClock } from "./clock.ts";
import { type RedisOptions, type RedisServer, startRedis } from "./redis.ts";

/** A server and its time. */
export interface RedisWorld extends AsyncDisposable {
  readonly server: RedisServer;
  /**
   * A new runtime that moves the server's clock too, and knows when the server has come to rest. The one before it is
   * over then.
   */
  begin(): FakeRuntime;
  readonly folders: readonly string[];
  keep(): void;
}

/** Looks at the server, turns of the event loop between them, after which an answer of before has been read. */
const LOOKS = 3;

export async function startRedisWorld(options: RedisOptions = {}): Promise<RedisWorld> {
  const clock = createClock(Date.now());
  const server = await startRedis({ ...options, clock });
  let client = await server.admin();
  let seen = -1;
  let looks = 0;

  /** Everything that was ever asked of the server, and everybody who ever came to it. */
  async function ask(): Promise<number> {
    const info = String(await client.send("INFO", "stats"));
    const of = (name: string): number => Number(new RegExp(`${name}:(\\d+)`).exec(info)?.[1]);
    return of("total_commands_processed") + of("total_connections_received");
  }

  async function quiet(): Promise<boolean> {
    if (server.pid() === 0) return true;
    try {
      const now = await ask();
      looks = now === seen ? looks + 1 : 0;
      // The next look will have seen this one.
      seen = now + 1;
      if (looks < LOOKS) return false;
      looks = 0;
      return true;
    } catch {
      // It was stopped, or is back.
      await client[Symbol.asyncDispose]();
      client = await server.admin();
      return false;
    }
  }

  return {
    server,
    begin: () => createFakeRuntime({ outside: { moved: clock.set, quiet } }),
    folders: server.folders,
    keep: () => server.keep(),
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      clock[Symbol.dispose]();
    },
  };
}
