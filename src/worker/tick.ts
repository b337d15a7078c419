/**
 * One schedule whose tick has come: its text is read, its steps are planned, its jobs are pushed.
 *
 * @module
 */

import { patiently } from "../flow/deadline.ts";
import { messageOf } from "../errors.ts";
import type { Pushed, PushJob } from "../jobs/exchange.ts";
import { hush, isPromise } from "../promises.ts";
import type { Advanced, Schedule } from "../contract/recurring.ts";
import type { StoredRecurrence } from "../jobs/schedule.ts";
import { jobOf } from "../schedules/job.ts";
import { countOf, type Left, type Plan, planOf, type Step } from "../schedules/plan.ts";
import { lackOf } from "../schedules/kinds.ts";
import { type Definite, readText } from "../schedules/text.ts";
import type { State } from "./state.ts";

/** Missed ticks that are counted at most. */
const MAX_COUNTED = 1_000;

/** A schedule that can be moved on. */
interface Ready {
  readonly definite: Definite;
  readonly by: StoredRecurrence;
  readonly plan: Plan;
}

/**
 * Moves a schedule on to its first tick after `now`, whichever worker is faster; answers that tick, Infinity when it
 * has ended, or undefined when this worker cannot tell.
 */
export async function moveOn(state: State, schedule: Schedule, now: number): Promise<number | undefined> {
  const ready = read(state, schedule, now);
  if (ready === undefined) return undefined;
  const { definite, by, plan } = ready;
  if (state.stopping) return undefined;
  let told = false;
  for (const step of plan.steps) {
    const answer = await advance(state, schedule, definite, step);
    if (answer === "stale") break;
    if (!told && plan.left !== undefined) tellLeft(state, schedule, definite, by, plan.left);
    told = true;
    if (state.stopping) break;
  }
  return plan.steps.at(-1)?.next ?? Infinity;
}

/**
 * The definition of a schedule, if this worker can read it; one that it cannot read is told once, and left to others.
 */
function read(state: State, schedule: Schedule, now: number): Ready | undefined {
  const { ticks: { kinds }, events } = state.bench;
  const { queue, key, text, tick } = schedule;
  const tell = (what: string, problem: string): undefined => {
    if (!kinds.isNews(what)) return undefined;
    const error = new TypeError(`Cannot push the ticks of schedule '${key}' in '${queue}' as ${problem}`);
    events.emit("error", { error, during: "pushing the ticks of schedules" });
    return undefined;
  };
  const spoilt = `spoilt ${queue}\n${key}\n${text}`;
  try {
    const definite = readText(text);
    const { kind } = definite.when;
    const by = kinds.read(definite.when);
    if (by === undefined) return tell(`kind ${kind}`, lackOf(kind));
    const plan = planOf({ by, missed: definite.missed, end: definite.end }, tick, now);
    const problem = problemOf(state, schedule, definite);
    return problem === undefined ? { definite, by, plan } : tell(spoilt, problem);
  } catch (cause) {
    return tell(spoilt, messageOf(cause));
  }
}

/** Why a payload cannot be one that `schedule` stored; undefined where it may be, or where this worker cannot tell. */
function problemOf(
  { bench: { definitions } }: State,
  { payload }: Schedule,
  { name, meta }: Definite,
): string | undefined {
  const codec = definitions.codecs.get(meta.codec ?? "json");
  // Its filters go back only when its job is read.
  if (definitions.get(name) === undefined || codec === undefined || codec.pipeline !== undefined) {
    return undefined;
  }
  try {
    const value = codec.decode(payload);
    if (isPromise(value)) hush(value);
    return undefined;
  } catch {
    return "its payload cannot be decoded";
  }
}

/** Pushes the job of a step, through the relay's middleware, and moves the schedule on. */
async function advance(
  state: State,
  schedule: Schedule,
  definite: Definite,
  { tick, push, next }: Step,
): Promise<Advanced> {
  const { alarms, bench: { runtime, callTimeout, ticks: { schedules, outgoing } } } = state;
  if (schedules === undefined) return "stale";
  const { queue, key } = schedule;
  const move = async (job: PushJob | undefined): Promise<Advanced> => {
    const call = { deadline: callTimeout };
    const answer = schedules.advance(queue, key, tick, next, job, call);
    return await patiently(alarms, "move a schedule on", call, answer);
  };
  if (push === undefined) return await move(undefined);
  let answer: Advanced = "stale";
  await outgoing([jobOf(runtime, schedule, definite, push)], async (jobs) => {
    const pushed: Pushed[] = [];
    for (const job of jobs) {
      answer = await move(job);
      tell(state, schedule, job, push, answer);
      pushed.push(answer === "pushed" ? "stored" : answer === "duplicate" ? "duplicate" : "withheld");
    }
    return pushed;
  });
  return answer;
}

function tell(
  { bench: { events } }: State,
  { queue, key }: Schedule,
  { id, name }: PushJob,
  tick: number,
  answer: Advanced,
): void {
  if (answer === "stale" || answer === "none") return;
  if (answer === "pushed") events.emit("dispatched", { id, name, queue, status: "stored" });
  const result = answer === "pushed" ? "stored" : answer === "duplicate" ? "duplicate" : "unknown";
  events.emit("tick", { key, queue, name, id, tick, result });
}

function tellLeft(
  { bench: { events } }: State,
  { queue, key }: Schedule,
  { name, missed }: Definite,
  by: StoredRecurrence,
  left: Left,
): void {
  if (!events.hears("missed")) return;
  events.emit("missed", { key, queue, name, missed, ...left, count: countOf(by, left, MAX_COUNTED) });
}
