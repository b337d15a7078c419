/**
 * Causes of lost or refused jobs in Redis, as `relevo doctor` tells them: of each master of a Cluster. Settings that may
 * lose jobs are told once, in words, when the first connection is there, too.
 *
 * @module
 */

import {
  danger,
  type Diagnosis,
  type Finding,
  room,
  unseen,
  warning,
  well,
} from "../../contract/diagnosis.ts";
import { RelevoError } from "../../errors.ts";
import type { Call } from "../../jobs/exchange.ts";
import { textOf } from "./client/driver.ts";
import type { Argument, Link, Reply } from "./client/link.ts";
import { slotOf, SLOTS } from "./client/slots.ts";

/** The link that is asked, and the bounds of the questions. */
interface Asked {
  readonly link: Link;
  /** Bounds of the next question. */
  readonly rest: () => Call;
}

/** A node that is asked: by a key of a slot that it serves. */
interface Node {
  /** The words before its findings; empty where there is one server. */
  readonly label: string;
  readonly key: string;
}

/** Seconds that a replica may be behind. */
const LAG = 10;

/** The facts that tell of the writes to the disk, and the names of the files that are written. */
const WRITES = [
  ["rdb_last_bgsave_status", "snapshot"],
  ["aof_last_write_status", "append-only file"],
] as const;
/** The part of a machine's memory from which there is little left. */
const MUCH = 0.8;

/** The findings; `key` is one of ours. */
export async function diagnose(asked: Asked, key: string): Promise<Diagnosis> {
  const clock = await clockOf(asked, key);
  const nodes = asked.link.clustered ? await nodesOf(asked, key) : [{ label: "", key }];
  const findings: Finding[] = [];
  for (const node of nodes) {
    for (const finding of await findingsOf(asked, node)) {
      findings.push(node.label === "" ? finding : { ...finding, says: `${node.label}: ${finding.says}` });
    }
  }
  return clock === undefined ? { findings } : { clock, findings };
}

async function ask({ link, rest }: Asked, key: string, args: readonly string[]): Promise<Reply | undefined> {
  try {
    return await link.command(key, args, rest());
  } catch (error) {
    // Services that run Redis for others forbid much: a fact that may not be asked for is told as that.
    if (error instanceof RelevoError && error.code === "TRANSPORT_FORBIDDEN") return undefined;
    throw error;
  }
}

async function clockOf(asked: Asked, key: string): Promise<number | undefined> {
  const reply = await ask(asked, key, ["TIME"]);
  if (!Array.isArray(reply)) return undefined;
  const [seconds, micros] = reply.map((part) => Number(textOf(part)));
  const clock = (seconds ?? NaN) * 1_000 + (micros ?? NaN) / 1_000;
  return Number.isFinite(clock) ? clock : undefined;
}

/** The masters of a Cluster, each with a key of the widest range of slots that it serves. */
async function nodesOf(asked: Asked, key: string): Promise<readonly Node[]> {
  const reply = await ask(asked, key, ["CLUSTER", "SLOTS"]);
  const widest = new Map<string, { readonly from: number; readonly to: number }>();
  for (const range of Array.isArray(reply) ? reply : []) {
    const [from, to, master] = Array.isArray(range) ? range : [];
    const [host, port] = Array.isArray(master) ? master : [];
    if (typeof from !== "number" || typeof to !== "number") continue;
    const address = `${textOf(host)}:${textOf(port)}`;
    const known = widest.get(address);
    if (known === undefined || to - from > known.to - known.from) widest.set(address, { from, to });
  }
  return [...widest].map(([address, range]) => ({ label: `node ${address}`, key: keyWithin(range) }));
}

/** Some key whose slot is in a range; only its slot counts. */
function keyWithin({ from, to }: { readonly from: number; readonly to: number }): string {
  for (let index = 0; index < SLOTS * 32; index++) {
    const key = `relevo:${index}`;
    const slot = slotOf(key);
    if (slot >= from && slot <= to) return key;
  }
  return "relevo";
}

async function findingsOf(asked: Asked, { key }: Node): Promise<readonly Finding[]> {
  const info = await ask(asked, key, ["INFO"]);
  const facts = factsIn(info === undefined ? "" : textOf(info));
  if (facts.size === 0) {
    return [unseen("server", "What the server says of itself (INFO)", "Look in the console of the service")];
  }
  const setting: Setting = async (name) => settingIn(await ask(asked, key, ["CONFIG", "GET", name]));
  return [...await dangersFound(facts, setting), memory(facts), ...replication(facts)];
}

/** Eviction and persistence: the dangers that the first connection warns of, and the parts that are well. */
async function dangersFound(facts: Facts, setting: Setting): Promise<readonly Finding[]> {
  const found = await dangersOf(facts, setting);
  const policy = facts.get("maxmemory_policy");
  const says = `Nothing is deleted to make room ('maxmemory-policy' is '${policy ?? "unknown"}')`;
  const evicts = found.some(({ check }) => check === "eviction");
  const doubted = found.some(({ check }) => check === "persistence");
  const failed = WRITES.filter(([fact]) => facts.get(fact) === "err").map(([, what]) =>
    danger("persistence", `The last write of the ${what} failed`, "Look at the server's log and at its disk")
  );
  const persists = doubted || failed.length > 0 ? [] : [well("persistence", "Jobs survive a restart")];
  return [...evicts ? [] : [well("eviction", says)], ...found, ...failed, ...persists];
}

function memory(facts: Facts): Finding {
  const used = Number(facts.get("used_memory") ?? 0);
  const limit = Number(facts.get("maxmemory") ?? 0);
  if (limit > 0) return room("space", "the limit of memory ('maxmemory')", used, limit, "raise 'maxmemory'");
  const whole = Number(facts.get("total_system_memory") ?? 0);
  if (whole > 0 && used / whole >= MUCH) {
    const percent = Math.floor(used / whole * 100);
    return warning(
      "space",
      `The server uses ${percent} % of its machine's memory, and has no limit of its own`,
      "Set 'maxmemory', so that jobs are refused before the system kills the server",
    );
  }
  const size = Math.ceil(used / 1_048_576);
  return well("space", `The server uses ${size} MiB, and nothing limits it but its machine`);
}

function replication(facts: Facts): readonly Finding[] {
  const check = "replication";
  if (facts.get("role") !== "master") {
    return [danger(check, "The server is a replica, and refuses jobs", "Give the address of the master")];
  }
  const replicas = [...facts].filter(([fact]) => /^slave\d+$/.test(fact)).map(([, text]) => text);
  if (replicas.length === 0) {
    const says = "There is no replica: a machine that is lost takes all jobs with it";
    return [warning(check, says, "Add a replica, or see that the service copies the disk")];
  }
  const behind = replicas.filter((text) =>
    !text.includes("state=online") || Number(/lag=(\d+)/.exec(text)?.[1] ?? 0) > LAG
  );
  if (behind.length === 0) {
    return [well(check, `${replicas.length} replicas follow; what they lag, a failover may lose`)];
  }
  const says = `${behind.length} of ${replicas.length} replicas do not follow: a failover may lose jobs`;
  return [warning(check, says, "Look at INFO replication, and at the replicas' logs")];
}

/** The facts of a server, as its INFO tells them. */
export type Facts = ReadonlyMap<string, string>;

/** A setting of the server; undefined where it may not be asked. */
export type Setting = (name: string) => Promise<string | undefined>;

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
export async function settingOf(
  connection: { send(args: readonly Argument[]): Promise<Reply> },
  setting: string,
): Promise<string | undefined> {
  try {
    return settingIn(await connection.send(["CONFIG", "GET", setting]));
  } catch {
    // Services that run Redis for others often forbid it.
    return undefined;
  }
}

function settingIn(answer: Reply | undefined): string | undefined {
  return Array.isArray(answer) && answer.length > 1 ? textOf(answer[1]) : undefined;
}

/** Settings that evict or forget jobs, and those that cannot be seen; empty when no setting does. */
export async function dangersOf(facts: Facts, setting: Setting): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  const policy = facts.get("maxmemory_policy") ?? "";
  if (policy.startsWith("allkeys")) {
    const is = `'maxmemory-policy' is '${policy}'`;
    const advice = "Set 'maxmemory-policy' to 'noeviction'";
    found.push(
      Number(facts.get("maxmemory") ?? 0) > 0
        ? danger(
          "eviction",
          `When its memory is full the server deletes jobs (${is}, not 'noeviction')`,
          advice,
        )
        : warning("eviction", `The server would delete jobs if 'maxmemory' were set (${is})`, advice),
    );
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
  const says = "A power cut may take the last half minute of jobs ('appendfsync' is 'no')";
  return [warning(check, says, "Set 'appendfsync' to 'everysec' or 'always'")];
}

function snapshots(save: string | undefined): Finding {
  const check = "persistence";
  const advice = "Set 'appendonly' to 'yes'";
  if (save === undefined) {
    const what = "Whether snapshots are written ('appendonly' is 'no', and 'save' may not be asked)";
    return unseen(check, what, CONSOLE);
  }
  return save === ""
    ? danger(check, "A restart takes all jobs ('appendonly' is 'no' and 'save' is empty)", advice)
    : warning(check, "A crash takes all jobs since the last snapshot ('appendonly' is 'no')", advice);
}
