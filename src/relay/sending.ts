/**
 * The steps that a single dispatch and a bulk share: the request id, the filters in the order of the queue, and what
 * the caller is told of the transport's answer.
 *
 * @module
 */

import { lackOf } from "../contract/lacks.ts";
import type { Batcher } from "../flow/batch.ts";
import type { Berths } from "../flow/berths.ts";
import type { Dispatched } from "./dispatch.ts";
import { DuplicateJobError, errorOf, OutcomeUnknown, RelevoError } from "../errors.ts";
import type { Events } from "../events/events.ts";
import type { Pushed, PushJob } from "../jobs/exchange.ts";
import { contextOf } from "../payload/filtering.ts";
import type { Gate } from "../flow/gate.ts";
import { checkOptions, checkSignal } from "../options.ts";
import type { Outgoing } from "../sides/outgoing.ts";
import { filterPayload } from "./payload.ts";
import { ambientId, type Desk, type JobSettings } from "./prepare.ts";
import { errorOfUnread, type Readers } from "../events/readers.ts";
import type { Inline } from "../worker/inline.ts";
import type { Turns } from "../flow/turns.ts";

/** The parts that a dispatcher needs beside those of preparation. */
export interface Sender extends Desk {
  readonly events: Events;
  readonly callTimeout: number;
  /** The queues that running workers read. */
  readonly readers: Readers;
  /** Room for jobs under way; undefined: there is no limit. */
  readonly berths: Berths | undefined;
  /** The order of jobs that pass filters. */
  readonly turns: Turns;
  /** The dispatch sides of the relay's middlewares; undefined: there are none. */
  readonly outgoing: Outgoing | undefined;
  /** Runs jobs in the caller instead of storing them; undefined: they are stored. */
  readonly inline: Inline | undefined;
  /** Shut when the relay closes; counts the calls under way. */
  readonly gate: Gate;
  /** Whether the runtime can tell what follows from a call. */
  readonly follows: boolean;
}

/** A sender with the jobs that wait for their batch. */
export interface BatchSender extends Sender {
  readonly pushes: Batcher<PushJob, Exclude<Pushed, Error>>;
  /** Names of jobs whose schema answered at once the last time. */
  readonly atOnce: Set<string>;
}

/**
 * Settings in which the request id of whatever the caller is doing stands, so that it can be told from a generated one.
 */
export function withAmbient<Settings extends JobSettings>(
  sender: Sender,
  settings: Settings,
): { readonly desk: Desk; readonly settings: Settings; readonly requested: boolean } {
  const requestId = settings.requestId ?? ambientId(sender.requestId);
  return {
    desk: { ...sender, requestId: undefined },
    settings: { ...settings, requestId },
    requested: requestId !== undefined,
  };
}

/** The options that must be read before the options are taken apart. */
export function checkCall(action: string, options: { readonly signal?: AbortSignal | undefined }): void {
  checkOptions(action, options);
  checkSignal(action, options.signal);
}

export async function pushWithin(
  { transport, callTimeout }: Sender,
  transaction: object,
  jobs: readonly PushJob[],
  atomic: boolean,
): Promise<readonly Pushed[]> {
  if (transport.transactions === undefined) {
    throw new TypeError(
      `Cannot dispatch in a transaction as ${lackOf(transport, "transactions", "has none")}`,
    );
  }
  return await transport.transactions.push(transaction, jobs, { atomic, deadline: callTimeout });
}

/** The caller's answer for one pushed job. */
export function resultOf(
  { events, readers }: Sender,
  { id, name, queue }: PushJob,
  pushed: Pushed,
  refuse: boolean,
): Dispatched | Error {
  if (pushed instanceof Unsent) return errorOf(pushed.cause);
  if (pushed instanceof Error) return failureOf(id, pushed, undefined);
  if (pushed === "withheld") return new WithheldJob(id);
  if (events.hears("dispatched")) events.emit("dispatched", { id, name, queue, status: pushed });
  if (readers.misses(queue)) {
    events.emit("error", { error: errorOfUnread(queue), during: `dispatching '${name}'` });
  }
  return pushed === "duplicate" && refuse ? new DuplicateJobError(id, queue) : { id, status: pushed };
}

/** A sound job of an atomic batch that was refused for others; it is counted among neither. */
export class WithheldJob extends Error {
  constructor(id: string) {
    super(`Job '${id}' was not stored as its batch was refused`);
  }
}

/** A sound job that was never handed to the transport, as the call had been aborted. */
export class Unsent extends Error {}

/**
 * Whether an error says that nothing was stored. A `TypeError` does not: a broken connection of `fetch` is one, too.
 */
function certain(error: Error): boolean {
  if (error instanceof RangeError) return true;
  return error instanceof RelevoError && error.code !== "DEADLINE_EXCEEDED";
}

/**
 * The error of a job that a transport did not answer for. An abort after it was sent is no refusal, even where its
 * reason is an error of ours: that of a handler's own signal is.
 */
export function failureOf(id: string, thrown: unknown, signal: AbortSignal | undefined): Error {
  const error = errorOf(thrown);
  const aborted = signal?.aborted === true && thrown === signal.reason;
  return !aborted && certain(error) ? error : new OutcomeUnknown(id, error);
}

/** Runs a job in the caller. */
export async function runInline(
  { inline, gate }: Sender,
  job: PushJob,
  signal: AbortSignal | undefined,
): Promise<Dispatched> {
  // Outside of the gate: a handler may end its own relay, which waits for all that is inside.
  gate.leave();
  try {
    await inline?.run(job, signal);
  } finally {
    gate.enter();
  }
  return { id: job.id, status: "done" };
}

/** Refuses an option that needs a store, where there is none. */
export function checkInline(
  { inline }: Sender,
  given: { readonly name: string; readonly transaction: object | undefined } & JobSettings,
): void {
  if (inline === undefined) return;
  const { name, delay, at, transaction } = given;
  for (const [option, value] of Object.entries({ delay, at, transaction })) {
    if (value !== undefined) {
      throw new TypeError(`Cannot dispatch '${name}' with '${option}' as this relay runs jobs inline`);
    }
  }
}

/** Whether a job has no filters to pass, and stands behind none that has. */
export function goesAtOnce({ definitions, turns }: Sender, { name, queue }: PushJob): boolean {
  return definitions.get(name)?.codec.pipeline === undefined && turns.isIdle(queue);
}

/** A job with the bytes that its filters make of its payload. */
export async function filtered(sender: Sender, job: PushJob): Promise<PushJob> {
  const definition = sender.definitions.get(job.name);
  if (definition?.codec.pipeline === undefined) return job;
  const context = contextOf(job, undefined, "payload");
  return { ...job, payload: await filterPayload(sender, definition, job.payload, context) };
}
