/**
 * Causes of lost or refused jobs of JetStream: the account's limits, and each stream's storage and copies.
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
import { FAULT, isFault } from "./client/errors.ts";
import type { Context } from "./stream/context.ts";
import { streamNames } from "./inspect.ts";
import { queueOf } from "./stream/config_check.ts";
import { timeOf } from "./stream/message.ts";
import type { Account, StreamInfo } from "./stream/queue_stream.ts";
import { each, streamInfo } from "./stream/read.ts";

/** A stream of a queue. */
interface Seen extends StreamInfo {
  readonly queue: string;
}

/** All streams, as they were found. */
interface Streams {
  readonly seen: readonly Seen[];
  /** The names of streams of which the server says nothing. */
  readonly silent: readonly string[];
}

/** Queues that one finding names; of the others it says how many they are. */
const NAMED = 5;

/** The advice where a server is missing. */
const MISSING = "Look which servers are missing: nats server report jetstream";

/** Milliseconds that one question may take: one that is not answered is told as that. */
const PATIENCE = 3_000;

/** The findings about JetStream. */
export async function diagnose(context: Context, until: number): Promise<Diagnosis> {
  const { link } = context;
  const { runtime } = link.settings;
  const soon = (): number => Math.min(until, runtime.monotonic() + PATIENCE);
  // A user that may not ask gets no answer at all.
  const account = link.api<Account>("INFO", undefined, soon()).then(
    accountOf,
    () => [unseen("space", "The account's limits", "nats account info")],
  );
  const names = await streamNames(context, until);
  const streams = await lookAt(context, names, soon);
  const newest = Math.max(...streams.seen.map(({ ts }) => timeOf(ts)));
  const findings = [
    ...await account,
    ...fullest(streams.seen, link.settings.maxBytes),
    ...storage(streams.seen),
    ...silence(streams.silent),
    ...copies(link.clustered, streams.seen),
    ...beyond(),
  ];
  return Number.isFinite(newest) ? { clock: newest, findings } : { findings };
}

/** Asks for the state of each stream; one that is none of ours, or went since it was named, is left out. */
async function lookAt({ link }: Context, names: readonly string[], soon: () => number): Promise<Streams> {
  const silent: string[] = [];
  const seen = await each(names, async (name): Promise<readonly Seen[]> => {
    try {
      const state = await streamInfo(link, name, soon());
      const queue = queueOf(state.config.description);
      return queue === undefined ? [] : [{ ...state, queue }];
    } catch (error) {
      if (!isFault(error, FAULT.streamNotFound)) silent.push(name);
      return [];
    }
  });
  return { seen: seen.flat(), silent };
}

function silence(names: readonly string[]): readonly Finding[] {
  if (names.length === 0) return [];
  const which = list(names.map((name) => `stream '${name}'`), "streams");
  return [danger("replication", `Of ${which} the server says nothing: it has no leader`, MISSING)];
}

function accountOf(account: Account): readonly Finding[] {
  const tiers = Object.entries(account.tiers ?? {});
  if (tiers.length > 0) return tiers.flatMap(([tier, part]) => limitsOf(part, ` of tier ${tier}`));
  return limitsOf(account, "");
}

function limitsOf({ memory, storage, streams, limits }: Account, tier: string): readonly Finding[] {
  const raise = "raise the account's limits";
  const bounded = [
    ["space", `the account's limit of storage${tier}`, storage, limits.max_storage],
    ["space", `the account's limit of memory${tier}`, memory, limits.max_memory],
    [
      "queues",
      `the account's limit of streams, of which each queue takes one,${tier}`,
      streams,
      limits.max_streams,
    ],
  ] as const;
  const found = bounded.filter(([, , , limit]) => limit > 0)
    .map(([check, what, used, limit]) => room(check, what, used, limit, raise));
  return found.some(({ check }) => check === "space")
    ? found
    : [well("space", `The account${tier} has no limit of storage of its own`), ...found];
}

/** The stream that has least room, where each may hold only so much. */
function fullest(streams: readonly Seen[], maxBytes: number | undefined): readonly Finding[] {
  const [first] = [...streams].sort((a, b) => b.state.bytes - a.state.bytes);
  if (maxBytes === undefined || first === undefined) return [];
  const what = `the limit of bytes ('maxBytes') of queue '${first.queue}'`;
  return [room("queue space", what, first.state.bytes, maxBytes, "raise 'maxBytes'")];
}

function storage(streams: readonly Seen[]): readonly Finding[] {
  const check = "persistence";
  const inMemory = streams.filter(({ config }) => config.storage === "memory");
  if (inMemory.length === 0) return [well(check, "All queues are stored in files")];
  const says = `In memory, and gone with the server: ${named(inMemory)}`;
  return [warning(check, says, "Make the stream anew with storage 'file', once it is empty")];
}

function copies(clustered: boolean, streams: readonly Seen[]): readonly Finding[] {
  const check = "replication";
  const findings: Finding[] = [];
  const behind = streams.filter(({ cluster }) =>
    cluster?.replicas?.some(({ offline, current }) => offline === true || current === false)
  );
  if (behind.length > 0) {
    findings.push(warning(check, `Copies that are behind or offline: ${named(behind)}`, MISSING));
  }
  const single = streams.filter(({ config }) => config.num_replicas < 2);
  if (single.length > 0) {
    const advice = clustered
      ? "nats stream edit --replicas 3, and the option 'replicas' for queues to come"
      : "Use a cluster of three servers, with the option 'replicas'";
    findings.push(warning(check, `One copy only, which is lost with its server: ${named(single)}`, advice));
  }
  if (findings.length > 0 || streams.length === 0) return findings;
  return [well(check, "Each queue has several copies, and all follow")];
}

/** Findings that only the server's own configuration and machine can tell. */
function beyond(): readonly Finding[] {
  return [
    unseen(
      "durability",
      "How often the server syncs to its disk ('sync_interval', two minutes unless set)",
      "Look in the server's configuration; 'always' survives a power cut",
    ),
    unseen(
      "disk",
      "What the server itself may store ('max_file_store'), and how much of its disk is free",
      "nats server report jetstream, and df on the server",
    ),
  ];
}

/** The queues of streams, the first of them by name. */
function named(streams: readonly Seen[]): string {
  return list(streams.map(({ queue }) => `'${queue}'`), "queues");
}

function list(names: readonly string[], what: string): string {
  const more = names.length - NAMED;
  return names.slice(0, NAMED).join(", ") + (more > 0 ? ` and ${more} more ${what}` : "");
}
