/**
 * Push of one plain job, as calls bring it that come one after another: without the chunks and the turns of a batch,
 * which are a part of such a call that can be felt.
 *
 * @module
 */

import type { Call, Pushed, PushJob } from "../../jobs/exchange.ts";
import { partsOf } from "../../names.ts";
import type { Script } from "./client/link.ts";
import { type Context, faultIn, learn } from "./context.ts";
import { HUGE } from "./push_heavy.ts";
import { headOf } from "./push_names.ts";

/** How a push is called. */
type PushCall = Call & { readonly atomic?: boolean };

/** Stores a job that has no options, is of a queue that is known and no topic's, and is not large; else absent. */
export function pushLone(
  context: Context,
  script: Script,
  jobs: readonly PushJob[],
  call: PushCall,
  foretold: ReadonlySet<string> = new Set(),
): Promise<readonly Pushed[]> | undefined {
  const job = jobs.length === 1 ? jobs[0] : undefined;
  if (job === undefined || !isPlain(context, job)) return undefined;
  call.signal?.throwIfAborted();
  const { link, keys, instance, names, registry, runtime } = context;
  const until = runtime.monotonic() + call.deadline;
  const { queue, name, payload } = job;
  const field = names.fieldOf(queue, name, 1);
  const args = [foretold.has(queue) ? instance : "", "", field, headOf(field, job), payload];
  return link.run(script, [keys.base(queue)], args, call).then((answer) => {
    learn(context, "push");
    const fault = faultIn(context, script, answer);
    if (fault !== undefined) return [fault];
    if (answer !== 1) return STORED;
    const deadline = Math.max(1, until - runtime.monotonic());
    return registry.enter([queue], { ...call, deadline }, true).then(() => STORED);
  }, (error: unknown) => {
    learn(context, "push", error);
    throw error;
  });
}

const STORED: readonly Pushed[] = ["stored"];

function isPlain({ proven, registry }: Context, job: PushJob): boolean {
  const { queue, id, name, meta, payload, at, delay = 0, idWindow } = job;
  if (at !== undefined || delay > 0 || idWindow !== undefined) return false;
  if (payload.length + meta.length > HUGE || id.includes("\n") || name.includes("\n")) return false;
  return proven.has("push") && partsOf(queue).topic === undefined && registry.knows([queue]);
}
