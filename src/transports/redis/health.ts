/**
 * What a server's settings may do to jobs, said once, in words, when the first connection is there.
 *
 * @module
 */

import type { Connection } from "./connection.ts";
import { textOf } from "./driver.ts";

/** What may lose jobs, each a sentence; empty when nothing does, or nothing may be known. */
export async function dangersOf(connection: Connection): Promise<readonly string[]> {
  const { facts } = connection;
  const dangers: string[] = [];
  const policy = facts.get("maxmemory_policy") ?? "";
  if (policy.startsWith("allkeys") && Number(facts.get("maxmemory") ?? 0) > 0) {
    dangers.push(
      `when its memory is full it deletes jobs ('maxmemory-policy' is '${policy}', not 'noeviction').`,
    );
  }
  if (facts.get("aof_enabled") === "1") {
    if (await settingOf(connection, "appendfsync") === "no") {
      dangers.push("a power cut may take the last half minute of jobs ('appendfsync' is 'no').");
    }
  } else if (facts.get("aof_enabled") === "0") {
    const save = await settingOf(connection, "save");
    if (save === "") dangers.push("a restart takes all jobs ('appendonly' is 'no' and 'save' is empty).");
    else if (save !== undefined) {
      dangers.push("a crash takes all jobs since the last snapshot ('appendonly' is 'no').");
    }
  }
  return dangers;
}

/** A setting of the server; undefined where it may not be asked. */
async function settingOf(connection: Connection, setting: string): Promise<string | undefined> {
  try {
    const answer = await connection.send(["CONFIG", "GET", setting]);
    return Array.isArray(answer) && answer.length > 1 ? textOf(answer[1]) : undefined;
  } catch {
    // Services that run Redis for others often forbid it; what is not known is not warned of.
    return undefined;
  }
}
