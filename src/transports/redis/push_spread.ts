/**
 * Plain jobs of many queues as `scripts/spread.ts` reads them: those of a queue together.
 *
 * @module
 */

import type { PushJob } from "../../jobs/exchange.ts";
import { partsOf } from "../../names.ts";
import type { Packable } from "./layout/pack.ts";

/** Packs jobs of several queues; undefined where one is a topic's, or where a name or an id has a line end. */
export function spreadOf(
  queues: readonly string[],
  list: readonly number[],
  jobs: readonly PushJob[],
): Packable | undefined {
  if (queues.some((queue) => partsOf(queue).topic !== undefined)) return undefined;
  const single = list.length === 2 * queues.length;
  const flat: Packable[] = [];
  const lists: readonly Packable[][] = single ? [] : queues.map(() => []);
  for (let n = 0; n < list.length; n += 2) {
    const job = jobs[list[n + 1] ?? -1];
    const to = single ? flat : lists[(list[n] ?? 0) - 1];
    if (job === undefined || to === undefined) return undefined;
    const { id, name, meta, payload } = job;
    if (id.includes("\n") || name.includes("\n")) return undefined;
    to.push(`${name}\n${id}\n${meta}`, payload);
  }
  return single ? [1, flat] : [lists.map(({ length }) => length / 2), lists.flat()];
}
