/**
 * One run of one job's handler, as a worker would make it: validation, codec, middlewares and the judgement of its
 * result returns, over a store that holds this job alone.
 *
 * @module
 */

import type { Jobs } from "../../jobs/definitions.ts";
import type { AnyMiddleware } from "../../sides/middleware.ts";
import { checkInteger, checkKnown, quote } from "../../options.ts";
import type { JobSettings } from "../../relay/prepare.ts";
import { readMeta, writeMeta } from "../../jobs/record.ts";
import { createRelay } from "../../relay/relay.ts";
import type { RelayOptions } from "../../relay/relay_options.ts";
import type { Transport } from "../../contract/transport.ts";
import { memory } from "../../transports/memory/mod.ts";
import { type JobRun, watchEnds } from "./ends.ts";

/** The options of {@linkcode TestRelay.runJob}. */
export interface RunJobOptions
  extends Pick<JobSettings, "id" | "headers" | "requestId" | "maxAttempts" | "timeout" | "backoff"> {
  /** Which run it is: `context.attempt`, which is compared with `maxAttempts`. Default 1, the first. */
  readonly attempt?: number | undefined;
  /** Aborts the run, as a worker that is stopped does: the handler's signal has its reason. Default: none. */
  readonly signal?: AbortSignal | undefined;
  /** Which group's handler runs; needed where several groups of a topic have one. */
  readonly group?: string | undefined;
}

/** A handler as it was registered. */
export interface Registration {
  readonly name: string;
  readonly handler: unknown;
  readonly options: { readonly group?: string | undefined };
}

/** The parts that the run's relay shares with the test's. */
export interface Place {
  readonly options: RelayOptions<Jobs, readonly AnyMiddleware[]>;
  readonly registrations: ReadonlySet<Registration>;
  readonly watch: (transport: Transport) => Transport;
}

/** Runs it; rejects for a payload that the schema refuses, and where there is no handler. */
export async function runJob(
  { options, registrations, watch }: Place,
  name: string,
  payload: unknown,
  run: RunJobOptions,
): Promise<JobRun> {
  const action = `run job '${name}'`;
  const { attempt = 1, signal, group, ...settings } = run;
  checkInteger(action, "attempt", attempt, 1, Number.MAX_SAFE_INTEGER);
  checkKnown(action, run, KNOWN);
  signal?.throwIfAborted();
  const registered = theOne(action, [...registrations], name, group);
  const store = preset(memory({ runtime: options.runtime }), attempt);
  const relay = createRelay({ ...options, transport: watch(store) });
  const ends: JobRun[] = [];
  watchEnds(relay.events, (end) => ends.push(end));
  try {
    Reflect.apply(relay.handle, relay, [name, registered.handler, registered.options]);
    await relay.dispatch(name, payload, settings);
    await relay.drain({ limit: 1, signal });
  } finally {
    await relay.close();
  }
  const [end] = ends;
  if (end === undefined) {
    throw new Error(`Cannot ${action} as its lease ended before its handler did`);
  }
  return end;
}

const KNOWN = [
  "attempt",
  "signal",
  "group",
  "id",
  "headers",
  "requestId",
  "maxAttempts",
  "timeout",
  "backoff",
];

function theOne(
  action: string,
  all: readonly Registration[],
  name: string,
  group: string | undefined,
): Registration {
  const named = all.filter((each) => each.name === name);
  const [one, ...others] = group === undefined
    ? named
    : named.filter(({ options }) => options.group === group);
  if (one !== undefined && others.length === 0) return one;
  if (one !== undefined) {
    throw new TypeError(`Cannot ${action} as ${named.length} groups have a handler for it: give 'group'`);
  }
  const where = group === undefined ? "" : ` in group ${quote(group)}`;
  throw new TypeError(`Cannot ${action} as it has no handler${where}`);
}

/** The same store, whose jobs have run before. */
function preset(transport: Transport, attempt: number): Transport {
  return {
    ...transport,
    push: (jobs, call) =>
      transport.push(
        jobs.map((job) => ({ ...job, meta: writeMeta({ ...readMeta(job.meta), attempts: attempt - 1 }) })),
        call,
      ),
  };
}
