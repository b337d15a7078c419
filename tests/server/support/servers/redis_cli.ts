/** `redis-cli`, as people have it beside their server. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { serverOf } from "../../../../scripts/lib/servers.mjs";
import type { RedisServer } from "./redis.ts";

const run = promisify(execFile);

/** What it prints of one command, as lines; texts as they are. Rejects with what the server refuses. */
export async function redisCli(
  { port }: RedisServer,
  ...command: readonly string[]
): Promise<readonly string[]> {
  const server = serverOf("redis7");
  if (server === undefined) throw new Error("Cannot run redis-cli as there is no Redis");
  const [file = "", ...args] = [server.command, ...server.args].map((part) =>
    part.replace(/redis-server$/, "redis-cli")
  );
  const { stdout } = await run(file, [...args, "-p", `${port}`, "-e", "--raw", ...command]);
  return stdout.replace(/\n$/, "").split("\n");
}
