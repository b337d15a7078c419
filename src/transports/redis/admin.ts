/**
 * The operator's writes: jobs reloaded or removed, page by page, so that no page holds other calls up.
 *
 * @module
 */

import type { Transport } from "../../contract/transport.ts";
import type { Call, Selection } from "../../jobs/exchange.ts";
import { parted } from "../../store/pages.ts";
import { type Chosen, idsOf } from "../../store/selections.ts";
import { partsOf } from "../../names.ts";
import { restOf } from "../../store/calls.ts";
import { type Context, replies } from "./context.ts";
import type { Argument, Reply, Script } from "./client/link.ts";
import { CHANNEL } from "./scripts/inspect.ts";

/** Ids that one script searches for: their payloads may be large. */
const MAX_IDS = 100;

/** The counts of all pages together. */
interface Walked {
  readonly changed: number;
  readonly taken: number;
}

/** Removes jobs of a channel; how many. */
export function removeJobs(context: Context, script: Script): Transport["remove"] {
  return async (queue, channel, select, call) =>
    (await walk(
      context,
      script,
      { queue, channel, select },
      "0",
      restOf(context.runtime, "remove jobs", call),
    ))
      .changed;
}

/** Returns dead jobs to work. */
export function reloadJobs(context: Context, script: Script): Transport["reload"] {
  return async (queue, channel, select, call) => {
    const reset = call.reset ? "1" : "0";
    const rest = restOf(context.runtime, "reload jobs", call);
    const { changed, taken } = await walk(context, script, { queue, channel, select }, reset, rest);
    return { reloaded: changed, taken };
  };
}

async function walk(
  context: Context,
  script: Script,
  { queue, channel, select }: Chosen,
  reset: string,
  rest: () => Call,
): Promise<Walked> {
  let changed = 0;
  let taken = 0;
  for (const [kind, chosen] of choices(select)) {
    let next: readonly Argument[] | undefined = ["", "", "0"];
    let last: readonly Argument[] = ["", "", ""];
    while (next !== undefined) {
      const args: readonly Argument[] = [
        String(CHANNEL[channel]),
        ...next,
        ...last,
        context.pack(chosen),
        kind,
        reset,
        partsOf(queue).topic ?? queue,
      ];
      const reply = replies(await context.link.run(script, [context.keys.base(queue)], args, rest()));
      changed += Number(reply[0]);
      taken += Number(reply[1]);
      next = Array.isArray(reply[2]) ? textsIn(reply[2]) : undefined;
      last = textsIn(replies(reply[3]));
    }
  }
  return { changed, taken };
}

/** The chosen jobs, in pages. */
function choices(
  select: Selection,
): readonly (readonly [kind: string, chosen: readonly (string | number | undefined)[]])[] {
  if (select === "all") return [["filter", []]];
  if (!("ids" in select)) return [["filter", [select.name, select.reason, select.before]]];
  return [...parted(idsOf(select) ?? [], MAX_IDS)].map((ids) => ["ids", ids]);
}

function textsIn(values: readonly Reply[]): readonly Argument[] {
  return values.map((value) => value instanceof Uint8Array ? value : String(value));
}
