/**
 * Causes of lost or refused jobs in Redis, as `relevo doctor` tells them: of each master of a Cluster.
 *
 * @module
 */

import { type Diagnosis, type Finding, room, unseen, well } from "../../contract/diagnosis.ts";
import { RelevoError } from "../../errors.ts";
import type { Call } from "../../jobs/exchange.ts";
import { textOf } from "./client/driver.ts";
import { dangersOf, type Facts, factsIn, type Setting } from "./diagnose_settings.ts";
import type { Link, Reply } from "./client/link.ts";
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
  const setting: Setting = async (name) => {
    const answer = await ask(asked, key, ["CONFIG", "GET", name]);
    return Array.isArray(answer) && answer.length > 1 ? textOf(answer[1]) : undefined;
  };
  return [...await dangersFound(facts, setting), memory(facts), ...replication(facts)];
}

/** Eviction and persistence: the dangers that the first connection warns of, and the parts that are well. */
async function dangersFound(facts: Facts, setting: Setting): Promise<readonly Finding[]> {
  const found = await dangersOf(facts, setting);
  const policy = facts.get("maxmemory_policy");
  const kept = well(
    "eviction",
    `Nothing is deleted to make room ('maxmemory-policy' is '${policy ?? "unknown"}')`,
  );
  const evicts = found.some(({ check }) => check === "eviction");
  const doubted = found.some(({ check }) => check === "persistence");
  const failed = WRITES.filter(([fact]) => facts.get(fact) === "err").map(([, what]): Finding => ({
    check: "persistence",
    severity: "danger",
    says: `The last write of the ${what} failed`,
    advice: "Look at the server's log and at its disk",
  }));
  const persists = doubted || failed.length > 0 ? [] : [well("persistence", "Jobs survive a restart")];
  return [...evicts ? [] : [kept], ...found, ...failed, ...persists];
}

function memory(facts: Facts): Finding {
  const used = Number(facts.get("used_memory") ?? 0);
  const limit = Number(facts.get("maxmemory") ?? 0);
  if (limit > 0) return room("space", "the limit of memory ('maxmemory')", used, limit, "raise 'maxmemory'");
  const whole = Number(facts.get("total_system_memory") ?? 0);
  if (whole > 0 && used / whole >= MUCH) {
    return {
      check: "space",
      severity: "warning",
      says: `The server uses ${
        Math.floor(used / whole * 100)
      } % of its machine's memory, and has no limit of its own`,
      advice: "Set 'maxmemory', so that jobs are refused before the system kills the server",
    };
  }
  return well(
    "space",
    `The server uses ${Math.ceil(used / 1_048_576)} MiB, and nothing limits it but its machine`,
  );
}

function replication(facts: Facts): readonly Finding[] {
  const check = "replication";
  if (facts.get("role") !== "master") {
    return [{
      check,
      severity: "danger",
      says: "The server is a replica, and refuses jobs",
      advice: "Give the address of the master",
    }];
  }
  const replicas = [...facts].filter(([fact]) => /^slave\d+$/.test(fact)).map(([, text]) => text);
  if (replicas.length === 0) {
    return [{
      check,
      severity: "warning",
      says: "There is no replica: a machine that is lost takes all jobs with it",
      advice: "Add a replica, or see that the service copies the disk",
    }];
  }
  const behind = replicas.filter((text) =>
    !text.includes("state=online") || Number(/lag=(\d+)/.exec(text)?.[1] ?? 0) > LAG
  );
  if (behind.length === 0) {
    return [well(check, `${replicas.length} replicas follow; what they lag, a failover may lose`)];
  }
  return [{
    check,
    severity: "warning",
    says: `${behind.length} of ${replicas.length} replicas do not follow: a failover may lose jobs`,
    advice: "Look at INFO replication, and at the replicas' logs",
  }];
}
