/**
 * Plain jobs of many queues as `scripts/spread.ts` reads them: those of a queue together.
 *
 * @module
 */

import type { PushJob } from "../../jobs/exchange.ts";
import { partsOf } from "../../names.ts";
import type { Packable } from "./layout/pack.ts";
import { commonName, headOf, type Names } from "./push_names.ts";

/** Packs jobs of several queues; undefined where one is a topic's, or where a name or an id has a line end. */
export function spreadOf(
  names: Names,
  queues: readonly string[],
  list: readonly number[],
  jobs: readonly PushJob[],
): Packable | undefined {
  if (queues.some((queue) => partsOf(queue).topic !== undefined)) return undefined;
  const single = list.length === 2 * queues.length;
  const sorted: readonly PushJob[][] = single ? [] : queues.map(() => []);
  const fields: string[] = [];
  const flat: Packable[] = [];
  const put = (all: readonly PushJob[], field: string): void => {
    fields.push(field);
    for (const job of all) flat.push(headOf(field, job), job.payload);
  };
  for (let n = 0; n < list.length; n += 2) {
    const job = jobs[list[n + 1] ?? -1];
    if (job === undefined || job.id.includes("\n") || job.name.includes("\n")) return undefined;
    if (single) put([job], names.fieldOf(job.queue, job.name, 1));
    else sorted[(list[n] ?? 0) - 1]?.push(job);
  }
  for (const [n, all] of sorted.entries()) {
    put(all, names.fieldOf(queues[n] ?? "", commonName(all, ({ name }) => name), all.length));
  }
  const [first] = fields;
  return [
    single ? 1 : sorted.map(({ length }) => length),
    flat,
    fields.every((field) => field === first) ? first : fields,
  ];
}
