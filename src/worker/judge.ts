/**
 * Decides the fate of a run by its handler's result or error. Every policy of retries, deaths and releases is in this
 * file, and none is in a transport.
 *
 * @module
 */

import { checkBackoff, delayAfter, exponential } from "../jobs/backoff.ts";
import { MAX_DELAY, MAX_NAME, UNKNOWN_DELAY_MAX, UNKNOWN_DELAY_MIN } from "../defaults.ts";
import type { Definition } from "../jobs/definitions.ts";
import { errorOf, JobTimeout, messageOf, withFault } from "../errors.ts";
import { type DeadChannel, type Meta, RECORD_VERSION } from "../jobs/job.ts";
import { errorOfMistake, mistakeOf } from "../jobs/mistake.ts";
import { checkText } from "../names.ts";
import { checkTime, quote } from "../options.ts";
import { type DeadLetter, type Outcome, outcomeOf, type Reschedule, type Retry } from "../jobs/outcome.ts";
import { createdOf, errorRecordOf, lostOf, writeMeta } from "../jobs/record.ts";
import type { Runtime } from "../runtime.ts";
import type { Transport } from "../contract/transport.ts";
import { type Next, nextOf } from "../jobs/schedule.ts";
import { type Buried, DONE, type Fate } from "./fate.ts";
import type { Run } from "./run.ts";
import type { Settings } from "./settings.ts";

/** The settings that decide a fate, beside the run; a worker's state is one. */
export interface Judge {
  readonly settings: Settings;
  readonly bench: {
    readonly runtime: Runtime;
    readonly transport: Pick<Transport, "features">;
    /** Checks and encodes the payload of a job's next run. */
    readonly encode: (run: Run, payload: unknown) => Promise<Uint8Array>;
  };
}

/** The fate that a handler's return value leads to. */
export function fateOfResult(judge: Judge, run: Run, result: unknown): Fate | Promise<Fate> {
  const outcome = outcomeOf(result);
  const mistake = outcome === undefined ? mistakeOf(result) : undefined;
  if (mistake !== undefined) return buried(judge, run, "failed", "outcome", errorOfMistake(mistake), true);
  if (outcome === undefined) return run.timedOut ? fateOfError(judge, run, timeoutOf(run)) : DONE;
  return fateOfOutcome(judge, run, outcome);
}

/** The fate that an outcome leads to. */
export function fateOfOutcome(judge: Judge, run: Run, outcome: Outcome): Fate | Promise<Fate> {
  switch (outcome.kind) {
    case "complete":
      return DONE;
    case "retry":
      return fateOfRetry(judge, run, outcome);
    case "deadLetter":
      return fateOfDeadLetter(judge, run, outcome);
    case "reschedule":
      return fateOfReschedule(judge, run, outcome);
    default: {
      const { kind }: { readonly kind?: unknown } = outcome;
      const error = new TypeError(
        "The handler returned an outcome that is none of complete, retry, deadLetter and reschedule: " +
          `current value is ${quote(kind)}`,
      );
      return buried(judge, run, "failed", "outcome", error, true);
    }
  }
}

function fateOfRetry(judge: Judge, run: Run, { delay, error: given }: Retry): Fate {
  const error = given ?? new Error("The handler asked for a retry");
  return failed(
    judge,
    run,
    error,
    delay === undefined ? undefined : () => checkTime("retry", "delay", delay),
  );
}

function fateOfDeadLetter(judge: Judge, run: Run, { reason, error: given }: DeadLetter): Fate {
  try {
    checkText("reason of a dead letter", reason, "bury a job", MAX_NAME);
  } catch (wrong) {
    return buried(judge, run, "failed", "outcome", given ?? wrong, true);
  }
  const error = given ?? new Error(`The handler refused the job: ${reason}`);
  return buried(judge, run, "failed", reason, error, true);
}

/** The fate that a throw leads to: a failed run, unless the worker had told the handler to stop. */
export function fateOfError(judge: Judge, run: Run, error: unknown): Fate {
  return run.stopped && !run.timedOut ? givenBack(judge, run) : failed(judge, run, error);
}

/** A run that is given back without counting: as it was, or with the names of the listeners that finished in it. */
export function givenBack({ bench: { runtime } }: Judge, run: Run): Fate {
  const { progress } = run;
  if (progress === undefined) return { to: "release" };
  const meta: Meta = {
    ...run.meta,
    createdAt: createdOf(run.delivery, run.meta),
    attempts: run.attempts,
    lost: run.lost,
    updatedAt: runtime.now(),
    ...progress,
  };
  return { to: "again", told: "released", meta: writeMeta(meta), delay: 0, reason: "stop" };
}

/** A run that failed: it counts, and the job runs again while attempts are left, after the delay that is `wanted`. */
function failed(judge: Judge, run: Run, thrown: unknown, wanted?: () => number): Fate {
  const error = run.timedOut ? timeoutOf(run, thrown) : errorOf(thrown);
  const attempts = run.attempts + 1;
  if (judge.bench.transport.features.handlesRetries === true) {
    const fate = buried(judge, run, run.timedOut ? "timeout" : "failed", "returned", error, true);
    return { ...fate, returned: true };
  }
  const maxAttempts = run.meta.maxAttempts ?? run.definition?.maxAttempts ?? judge.settings.maxRetry;
  if (attempts >= maxAttempts) {
    const [channel, reason] = run.timedOut
      ? ["timeout", "timeout"] as const
      : ["failed", "exhausted"] as const;
    return buried(judge, run, channel, reason, error, true);
  }
  const { delay, told } = delayOf(judge, run, attempts, error, wanted);
  const { unknownSince: _, dead: __, ...kept } = run.meta;
  const meta: Meta = {
    ...kept,
    createdAt: createdOf(run.delivery, kept),
    attempts,
    lost: run.lost,
    updatedAt: judge.bench.runtime.now(),
    lastDelay: delay,
    lastError: errorRecordOf(error),
    ...run.progress,
  };
  return { to: "again", told: "retrying", meta: writeMeta(meta), delay, error: told };
}

/** The delay before the next run, and the error to tell: a delay that is none must not cost the job that run. */
function delayOf(
  judge: Judge,
  run: Run,
  attempts: number,
  error: Error,
  wanted: (() => number) | undefined,
): { readonly delay: number; readonly told: Error } {
  const { runtime: { random } } = judge.bench;
  const backoff = (): number => backoffOf(judge, run, attempts, error);
  let told = error;
  for (const ask of wanted === undefined ? [backoff] : [wanted, backoff]) {
    try {
      return { delay: ask(), told };
    } catch (wrong) {
      told = withFault(told, "its backoff", wrong);
    }
  }
  return { delay: delayAfter({ attempts, error, lastDelay: 0 }, exponential(), random), told };
}

function backoffOf(
  { settings, bench: { runtime } }: Judge,
  run: Run,
  attempts: number,
  error: unknown,
): number {
  // Any program may have written the record.
  if (run.meta.backoff !== undefined) checkBackoff(run.meta.backoff, "retry");
  const backoff = run.meta.backoff ?? run.definition?.backoff ?? settings.backoff;
  const lastDelay = run.delivery.reset ? 0 : run.meta.lastDelay ?? 0;
  return delayAfter({ attempts, error, lastDelay }, backoff, runtime.random);
}

/** A dead job: `ran` says whether the run that ends here counts. */
export function buried(
  { bench: { runtime } }: Judge,
  run: Run,
  channel: DeadChannel,
  reason: string,
  thrown: unknown,
  ran: boolean,
): Buried {
  const error = errorOf(thrown);
  const { unknownSince: _, lost: __, lastDelay: ___, updatedAt: ____, ...kept } = run.safeMeta;
  const meta: Meta = {
    ...kept,
    createdAt: createdOf(run.delivery, kept),
    attempts: run.attempts + (ran ? 1 : 0),
    lastError: errorRecordOf(error),
    dead: { channel, reason, at: runtime.now(), lost: run.lost },
    ...run.progress,
  };
  return { to: channel, meta: writeMeta(meta), reason, error };
}

/**
 * A job whose steps broke in a way that none of them knows: dead with nothing in its record but that, as whatever broke
 * them may be in there.
 */
export function buriedAfresh({ bench: { runtime } }: Judge, run: Run, thrown: unknown): Buried {
  const error = errorOf(thrown);
  const at = runtime.now();
  const lastError = errorRecordOf(error);
  const fresh: Meta = { v: RECORD_VERSION };
  const lost = lostOf(run.delivery, fresh);
  const dead = { channel: "failed", reason: "undecodable", at, lost } as const;
  const createdAt = createdOf(run.delivery, fresh);
  const meta: Meta = { ...fresh, createdAt, attempts: 0, lastError, dead };
  return { to: "failed", meta: writeMeta(meta), reason: dead.reason, error };
}

/** A job that has no handler here: released for a while, as a newer worker may know it, then dead. */
export function handedBack(
  judge: Judge,
  run: Run,
  reason: "unknown" | "invalid" | "version",
  error: Error,
): Fate {
  const { settings, bench: { runtime } } = judge;
  const now = runtime.now();
  const since = run.meta.unknownSince ?? now;
  const waited = Math.max(0, now - since);
  if (waited >= settings.unknownFor) return buried(judge, run, "failed", reason, error, false);
  const { dead: _, ...kept } = run.meta;
  const meta: Meta = {
    ...kept,
    createdAt: createdOf(run.delivery, kept),
    attempts: run.attempts,
    lost: run.lost,
    updatedAt: now,
    unknownSince: since,
  };
  return {
    to: "again",
    told: "released",
    meta: writeMeta(meta),
    delay: handBackDelay(waited, runtime.random),
    reason,
    error,
  };
}

/** A job that must not run beside another here: due again a moment later, its losses in its record. */
export function setAside({ bench: { runtime } }: Judge, run: Run): Fate {
  const meta: Meta = {
    ...run.safeMeta,
    createdAt: createdOf(run.delivery, run.safeMeta),
    attempts: run.attempts,
    lost: run.lost,
  };
  const delay = handBackDelay(2 * UNKNOWN_DELAY_MIN, runtime.random);
  return { to: "again", told: "released", meta: writeMeta(meta), delay, reason: "suspect" };
}

/** A record that a newer version wrote: left as it is for a worker that can read it. */
export function leftToNewer({ bench: { runtime } }: Judge, run: Run): Fate {
  const age = Math.max(0, runtime.now() - createdOf(run.delivery, run.meta));
  const delay = handBackDelay(age, runtime.random);
  return { to: "again", told: "released", meta: run.delivery.meta, delay, reason: "version" };
}

/** Whether a record is one that this version can read. */
export function isReadable(meta: Meta): boolean {
  return meta.v <= RECORD_VERSION;
}

/**
 * Waits between half and all of the time that it has waited so far, so that the time between two releases grows. The
 * die keeps them out of step with the polls of workers: else one that does not know the job could come first every
 * time.
 */
function handBackDelay(waited: number, random: () => number): number {
  const step = Math.min(waited, UNKNOWN_DELAY_MAX);
  return Math.max(UNKNOWN_DELAY_MIN, Math.round(step * (1 - random() / 2)));
}

async function fateOfReschedule(judge: Judge, run: Run, outcome: Reschedule): Promise<Fate> {
  let next: Next;
  let payload: Uint8Array | undefined;
  try {
    next = nextOf(outcome.by, { now: judge.bench.runtime.now(), due: run.delivery.due });
    const again = outcome.next;
    if (again !== undefined) payload = await run.follow(() => judge.bench.encode(run, again.payload));
  } catch (cause) {
    const error = new Error(`failed to reschedule: ${messageOf(cause)}`, { cause });
    return buried(judge, run, "failed", "reschedule", error, true);
  }
  const {
    lastError: _,
    lastDelay: __,
    unknownSince: ___,
    dead: ____,
    lost: _____,
    finished: ______,
    ...kept
  } = run.meta;
  const meta: Meta = {
    ...kept,
    createdAt: createdOf(run.delivery, kept),
    attempts: outcome.keepAttempts ? run.attempts : 0,
    updatedAt: judge.bench.runtime.now(),
  };
  const { definition } = run;
  const stored = payload === undefined || definition === undefined ? meta : writtenBy(definition, meta);
  return { to: "again", told: "rescheduled", meta: writeMeta(stored), payload, ...next };
}

/** The metadata of a payload that a definition of today has written. */
function writtenBy({ codec, upcast }: Definition, { version: _, ...meta }: Meta): Meta {
  const version = upcast?.last ?? 1;
  return { ...meta, codec: codec.id, ...(version === 1 ? {} : { version }) };
}

function timeoutOf(run: Run, cause?: unknown): JobTimeout {
  const timeout = timeoutFor(run) ?? 0;
  if (cause instanceof JobTimeout) return cause;
  const error = new JobTimeout(run.delivery.name, timeout);
  if (cause !== undefined) error.cause = cause;
  return error;
}

/** How long a run may take, if there is a limit. */
export function timeoutFor(run: Run): number | undefined {
  const timeout = run.meta.timeout ?? run.definition?.timeout;
  return timeout === undefined ? undefined : Math.min(timeout, MAX_DELAY);
}
