/**
 * Push of jobs with large payloads: each is one `XADD` without a script, which would copy its payload several times, and
 * one script puts all of them into the index of ids afterwards.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Call } from "../../jobs/exchange.ts";
import { restOf } from "../../store/calls.ts";
import type { Script } from "./client/link.ts";
import type { Context } from "./context.ts";
import type { Plain } from "./push_plain.ts";

/** Bytes of a job, in the mean, from which on a command for itself and a second round trip cost less than copies. */
export const HUGE: number = 32 * 1024;

/**
 * Adds jobs, in their order; answers for each whether it was stored, or its error. Absent where the stream is not there
 * and must be made first: then no job was stored.
 */
export async function pushHeavy(
  context: Context,
  script: Script,
  queue: string,
  { field, flat }: Plain,
  looks: string,
  call: Call,
): Promise<readonly PromiseSettledResult<unknown>[] | undefined> {
  const { link, keys, runtime } = context;
  const rest = restOf(runtime, "push jobs", call);
  const [base, stream] = [keys.base(queue), keys.key(queue, "waiting")];
  const sent: Promise<unknown>[] = [];
  const noted: string[] = [];
  for (let n = 0; n < flat.length; n += 2) {
    const [head = "", payload = ""] = [flat[n], flat[n + 1]];
    const args = ["XADD", stream, "NOMKSTREAM", "*", field, head, "payload", payload];
    sent.push(
      link.command(base, args, call).then((entry) => {
        if (entry instanceof Uint8Array) noted.push(idIn(head), Buffer.from(entry).toString("latin1"));
      }),
    );
  }
  const results = await Promise.allSettled(sent);
  if (noted.length === 0) return results.every(({ status }) => status === "fulfilled") ? undefined : results;
  try {
    await link.run(script, [base], [looks, ...noted], rest());
  } catch {
    // The jobs are stored, as the call asked for: a worker finds them by its next check, a look for their ids by its
    // scan.
  }
  return results;
}

function idIn(head: string | Uint8Array): string {
  return String(head).split("\n", 1)[0] ?? "";
}
