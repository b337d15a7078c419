/**
 * Settings of a server that may lose jobs: told once, in words, when the first connection is there, and to operators
 * whenever they ask.
 *
 * @module
 */

import { type Finding, unseen } from "../../contract/diagnosis.ts";
import { textOf } from "./client/driver.ts";
import type { Argument, Reply } from "./client/link.ts";

/** The facts of a server, as its INFO tells them. */
export type Facts = ReadonlyMap<string, string>;

/** A setting of the server; undefined where it may not be asked. */
export type Setting = (name: string) => Promise<string | undefined>;

/** The connection over which a setting is asked for. */
interface Asked {
  send(args: readonly Argument[]): Promise<Reply>;
}

/** The facts in an answer to INFO. */
export function factsIn(info: string): Map<string, string> {
  const facts = new Map<string, string>();
  for (const line of info.split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) facts.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return facts;
}

/** A setting of the server behind a connection. */
export async function settingOf(connection: Asked, setting: string): Promise<string | undefined> {
  try {
    const answer = await connection.send(["CONFIG", "GET", setting]);
    return Array.isArray(answer) && answer.length > 1 ? textOf(answer[1]) : undefined;
  } catch {
    // Services that run Redis for others often forbid it.
    return undefined;
  }
}

/** Settings that evict or forget jobs, and those that cannot be seen; empty when no setting does. */
export async function dangersOf(facts: Facts, setting: Setting): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  const policy = facts.get("maxmemory_policy") ?? "";
  if (policy.startsWith("allkeys")) {
    const limited = Number(facts.get("maxmemory") ?? 0) > 0;
    found.push({
      check: "eviction",
      severity: limited ? "danger" : "warning",
      says: limited
        ? `When its memory is full the server deletes jobs ('maxmemory-policy' is '${policy}', not 'noeviction')`
        : `The server would delete jobs if 'maxmemory' were set ('maxmemory-policy' is '${policy}')`,
      advice: "Set 'maxmemory-policy' to 'noeviction'",
    });
  }
  const aof = facts.get("aof_enabled");
  if (aof === "1") found.push(...appended(await setting("appendfsync")));
  else if (aof === "0") found.push(snapshots(await setting("save")));
  return found;
}

const CONSOLE = "Look in the server's configuration, or in the console of the service";

function appended(fsync: string | undefined): readonly Finding[] {
  const check = "persistence";
  if (fsync === undefined) {
    return [unseen(check, "How often the append-only file is synced ('appendfsync')", CONSOLE)];
  }
  if (fsync !== "no") return [];
  return [{
    check,
    severity: "warning",
    says: "A power cut may take the last half minute of jobs ('appendfsync' is 'no')",
    advice: "Set 'appendfsync' to 'everysec' or 'always'",
  }];
}

function snapshots(save: string | undefined): Finding {
  const check = "persistence";
  const advice = "Set 'appendonly' to 'yes'";
  if (save === undefined) {
    return unseen(
      check,
      "Whether snapshots are written ('appendonly' is 'no', and 'save' may not be asked)",
      CONSOLE,
    );
  }
  return save === ""
    ? {
      check,
      severity: "danger",
      says: "A restart takes all jobs ('appendonly' is 'no' and 'save' is empty)",
      advice,
    }
    : {
      check,
      severity: "warning",
      says: "A crash takes all jobs since the last snapshot ('appendonly' is 'no')",
      advice,
    };
}
