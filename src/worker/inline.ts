/**
 * Runs in the caller: the same steps as a worker's, over a delivery that no store has, and whose end is the caller's
 * answer.
 *
 * @module
 */

import { GRACE } from "../defaults.ts";
import { DeadlineExceeded } from "../errors.ts";
import type { PushJob } from "../jobs/exchange.ts";
import { partsOf } from "../names.ts";
import { readMeta, writeMeta } from "../jobs/record.ts";
import { liveSteps } from "../flow/trail.ts";
import type { Fate } from "./fate.ts";
import type { Leaving } from "./leaving.ts";
import { perform } from "./perform.ts";
import { Run } from "./run.ts";
import { defaultSettings } from "./settings.ts";
import { tell } from "./settle.ts";
import type { Bench, State } from "./state.ts";
import { createState } from "./worker.ts";

/** Runs jobs in the caller. */
export interface Inline extends Leaving {
  /** Runs the handlers of a job and resolves after the last; rejects with the first error. */
  run(job: PushJob, signal: AbortSignal | undefined): Promise<void>;
  /** Resolves when nothing runs. */
  ended(): Promise<void>;
}

/** Makes it for a relay. */
export function createInline(bench: Bench): Inline {
  const settings = {
    ...defaultSettings(bench.transport),
    maxRetry: 1,
    unknown: "dead",
    invalid: "dead",
  } as const;
  const ends = new Map<Run, (fate: Fate) => void>();
  const base = createState(bench, settings, undefined);
  // For as long as the relay is there, as it runs jobs.
  bench.events.join(() => ends.keys());
  const state: State = {
    ...base,
    conclude: (run, fate) => ends.get(run)?.(fate),
  };

  function runOne(job: PushJob, queue: string, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const run = new Run({
        queue,
        token: job.id,
        id: job.id,
        name: job.name,
        payload: job.payload,
        // There is one run: an outcome that says otherwise would promise another.
        meta: writeMeta({ ...readMeta(job.meta), maxAttempts: 1 }),
        lost: 0,
        reset: false,
        due: bench.runtime.now(),
        lease: Infinity,
      });
      const abort = (): void => {
        run.stopped = true;
        run.abort(signal?.reason);
      };
      if (signal?.aborted) return reject(signal.reason);
      ends.set(run, (fate) => {
        signal?.removeEventListener("abort", abort);
        ends.delete(run);
        if (ends.size === 0) state.alarms.clear();
        state.quiet.open();
        const error = errorOf(run, fate, signal);
        if (fate.to === "again") bench.events.over(run);
        else tell(state, run, fate);
        if (error === undefined) resolve();
        else reject(error.reason);
      });
      signal?.addEventListener("abort", abort, { once: true });
      perform(state, run);
    });
  }

  return {
    async run(job, signal) {
      for (const queue of queuesOf(bench, job)) {
        if (bench.handlers.get(job.name, queue) !== undefined) await runOne(job, queue, signal);
      }
    },
    async ended() {
      while (ends.size > 0) await state.quiet.wait();
    },
    held() {
      const own = liveSteps(bench.trail);
      if (bench.trail !== undefined || ends.size === 0) {
        return Promise.resolve([...ends.keys()].some(({ step }) => step !== undefined && own.includes(step)));
      }
      return new Promise((resolve) => state.alarms.set(GRACE, () => resolve(true)));
    },
  };
}

/** Where the job's handlers are: of a topic's job, each group that has one. */
function queuesOf({ handlers }: Bench, { queue }: PushJob): readonly string[] {
  const { topic, group } = partsOf(queue);
  if (topic === undefined || group !== "") return [queue];
  return handlers.queues().filter((other) => partsOf(other).topic === topic);
}

/** The caller's error for a run that did not complete. */
function errorOf(
  run: Run,
  fate: Fate,
  signal: AbortSignal | undefined,
): { readonly reason: unknown } | undefined {
  if (fate.to === "done") return undefined;
  if (fate.to === "release") {
    return { reason: signal?.aborted ? signal.reason : new DeadlineExceeded("run", 0) };
  }
  if (fate.to !== "again" || fate.told === "retrying") return { reason: fate.error };
  if (fate.told === "released") return { reason: fate.error ?? signal?.reason };
  return {
    reason: new TypeError(
      `Cannot reschedule '${run.delivery.name}' as it runs inline: there is no store to keep it until then`,
    ),
  };
}
