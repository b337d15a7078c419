/**
 * The operation that looks for causes which lose jobs, refuses them or keeps them waiting: in the store, and in its
 * queues.
 *
 * @module
 */

import * as v from "valibot";
import { type Finding, type Severity, unseen, well } from "../contract/diagnosis.ts";
import { DEAD_CHANNELS, type DeadChannel } from "../jobs/job.ts";
import { noInput } from "./input.ts";
import { type Bounds, type Desk, type Operation, operation } from "./operation.ts";
import { countsOf, type QueueView } from "./queues.ts";
import { span } from "./span.ts";

/** Dead jobs of one queue that died of one reason. */
export interface DeadGroup {
  readonly queue: string;
  readonly channel: DeadChannel;
  readonly reason: string;
  readonly name: string;
  readonly count: number;
}

/** The findings. */
export interface DoctorOutput {
  /** The transport's name. */
  readonly store: string;
  readonly findings: readonly Finding[];
  /** Dead jobs by reason, of the queues that have most: the newest 1,000 of each channel. */
  readonly dead: readonly DeadGroup[];
}

/** Milliseconds that clocks may be apart. */
const SKEW = 1_000;
/** Milliseconds after which a job has waited long where none runs, and where some do. */
const IDLE = 60_000;
const BEHIND = 300_000;
/** Queues that are named; of the others it is said how many they are. */
const NAMED = 10;
/** Dead jobs of a channel that are looked at. */
const NEWEST = 1_000;

const SEVERITIES = ["danger", "warning", "ok", "unseen"] as const satisfies readonly Severity[];

const diagnose = operation<object, DoctorOutput>({
  name: "store.diagnose",
  about: "Looks for what loses jobs, refuses them or keeps them waiting.",
  kind: "read",
  input: noInput,
  output: v.object({
    store: v.string(),
    findings: v.array(v.object({
      check: v.string(),
      severity: v.picklist(SEVERITIES),
      says: v.string(),
      advice: v.exactOptional(v.string()),
    })),
    dead: v.array(v.object({
      queue: v.string(),
      channel: v.picklist(DEAD_CHANNELS),
      reason: v.string(),
      name: v.string(),
      count: v.number(),
    })),
  }),
  async run(desk, _, bounds) {
    const start = desk.now();
    const { findings, clock } = await desk.relay.diagnose({ signal: bounds.signal });
    const apart = clockFound(desk, clock, start);
    const queues = await countsOf(desk, bounds);
    const dead = await deadGroups(desk, queues, bounds);
    return {
      store: desk.relay.transport.name,
      findings: [...findings, apart, ...waits(queues), ...deaths(queues, dead)],
      dead,
    };
  },
});

/** How far the store's clock is from this process's, as far as the time that the question took lets it be known. */
function clockFound({ relay, now }: Desk, clock: number | undefined, start: number): Finding {
  const check = "clock";
  const judge = relay.transport.features.clock;
  if (judge !== "server") return well(check, `The clock of this ${judge} judges when jobs are due`);
  if (clock === undefined) return unseen(check, "The store's clock", "date, on the store's machine");
  const end = now();
  // The store read it at some moment between the two.
  const apart = clock < start ? clock - start : clock > end ? clock - end : 0;
  if (Math.abs(apart) < SKEW) return well(check, "The store's clock and this machine's agree");
  const way = apart > 0 ? "ahead of" : "behind";
  return {
    check,
    severity: "warning",
    says: `The store's clock is ${span(Math.abs(apart))} ${way} this machine's`,
    advice:
      "Synchronize both: 'at' is an instant of this machine, and the store's clock judges when it has come",
  };
}

/** Queues whose jobs wait for long. */
function waits(queues: readonly QueueView[]): readonly Finding[] {
  const check = "waits";
  const late = queues.filter(({ oldest = 0, reserved }) => oldest >= (reserved === 0 ? IDLE : BEHIND))
    .sort((a, b) => (b.oldest ?? 0) - (a.oldest ?? 0));
  if (late.length === 0) return [well(check, "No job has waited for long")];
  const found = late.slice(0, NAMED).map(({ queue, waiting, oldest = 0, reserved }): Finding => ({
    check,
    severity: "warning",
    says: `Queue '${queue}': ${waiting} ${waiting === 1 ? "job waits" : "jobs wait"}, the oldest for ${
      span(oldest)
    }, and ${reserved === 0 ? "none runs" : `${reserved} run`}`,
    advice: reserved === 0
      ? "Look whether a worker of this queue is alive, and whether it reaches the store"
      : "Its workers do not keep up: more of them, or more concurrency",
  }));
  const more = late.length - NAMED;
  if (more <= 0) return found;
  return [...found, { check, severity: "warning", says: `And ${more} more queues whose jobs wait for long` }];
}

/** Queues that hold dead jobs, the most first. */
function withDead(queues: readonly QueueView[]): readonly QueueView[] {
  const deadIn = ({ failed, timeout }: QueueView): number => failed + timeout;
  return queues.filter((queue) => deadIn(queue) > 0).sort((a, b) => deadIn(b) - deadIn(a));
}

async function deadGroups(
  { relay }: Desk,
  queues: readonly QueueView[],
  { signal }: Bounds,
): Promise<readonly DeadGroup[]> {
  const groups = new Map<string, DeadGroup>();
  for (const counts of withDead(queues).slice(0, NAMED)) {
    const { queue } = counts;
    for (const channel of DEAD_CHANNELS) {
      if (counts[channel] === 0) continue;
      const { jobs } = await relay.list(queue, channel, { limit: NEWEST, signal });
      for (const { name, dead } of jobs) {
        const reason = dead?.reason ?? "unknown";
        const key = JSON.stringify([queue, channel, reason, name]);
        groups.set(key, { queue, channel, reason, name, count: (groups.get(key)?.count ?? 0) + 1 });
      }
    }
  }
  return [...groups.values()];
}

function deaths(queues: readonly QueueView[], groups: readonly DeadGroup[]): readonly Finding[] {
  const check = "dead";
  const all = withDead(queues);
  if (all.length === 0) return [well(check, "No job is dead")];
  const found = all.slice(0, NAMED).map(({ queue, failed, timeout }): Finding => {
    const count = failed + timeout;
    const reasons = groups.filter((group) => group.queue === queue)
      .sort((a, b) => b.count - a.count)
      .map(({ reason, name, count: of }) => `${of} of '${name}' (${reason})`)
      .slice(0, NAMED);
    const newest = failed > NEWEST || timeout > NEWEST ? "of the newest " : "";
    return {
      check,
      severity: "warning",
      says: `Queue '${queue}': ${count} dead, ${newest}${reasons.join(", ")}`,
      advice: `relevo dead list --queue ${queue}`,
    };
  });
  const more = all.length - NAMED;
  return more <= 0
    ? found
    : [...found, { check, severity: "warning", says: `And ${more} more queues with dead jobs` }];
}

/** The operations. */
export const storeOperations: readonly Operation[] = [diagnose];
