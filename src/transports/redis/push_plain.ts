/**
 * Plain jobs as `scripts/plain.ts` reads them, in runs of ascending ids: the index of ids has one range for each.
 *
 * @module
 */

import type { PushJob } from "../../jobs/exchange.ts";
import { commonName, headOf, type Names } from "./push_names.ts";
import { ID, SECOND } from "./scripts/ranges.ts";

/** Jobs of one script. */
export interface Plain {
  /** The field of each job's head, where no range covers the job. */
  readonly field: string;
  /** Of each job its head and its payload. */
  readonly flat: readonly (string | Uint8Array)[];
  /** Of each run how many jobs it has, its first and its last id; two empty texts where each id is in the index. */
  readonly runs: readonly string[];
}

/** Jobs of a run from which on one range costs less than an id each. */
const LEAST = 8;
/** The alphabet of generated ids: one byte a letter, and in the order of their bytes. */
const GENERATED = /^[0-9A-Za-z]+$/;

interface Run {
  size: number;
  readonly first: string;
  last: string;
}

/** Packs jobs; undefined where a name or an id has a line end, which no dispatch allows. */
export function plainOf(
  names: Names,
  queue: string,
  indexes: readonly number[],
  jobs: readonly PushJob[],
): Plain | undefined {
  const name = commonName(indexes, (index) => jobs[index]?.name);
  const field = names.fieldOf(queue, name, indexes.length);
  const flat: (string | Uint8Array)[] = [];
  const runs: Run[] = [];
  let run: Run | undefined;
  for (const index of indexes) {
    const job = jobs[index];
    if (job === undefined) continue;
    const { id, name, payload } = job;
    if (id.includes("\n") || name.includes("\n")) return undefined;
    flat.push(headOf(field, job), payload);
    if (run === undefined || !goesOn(run, id)) runs.push(run = { size: 1, first: id, last: id });
    else {
      run.size++;
      run.last = id;
    }
  }
  return { field, flat, runs: textsOf(runs) };
}

/** Whether an id is of a run: it ascends, and was made in the second of its first, so that it is found among few runs. */
function goesOn({ first, last }: Run, id: string): boolean {
  return id.length === ID && last.length === ID && id > last && id.startsWith(first.slice(0, SECOND));
}

function textsOf(runs: readonly Run[]): readonly string[] {
  const texts: string[] = [];
  let alone = 0;
  const end = (): void => {
    if (alone > 0) texts.push(String(alone), "", "");
    alone = 0;
  };
  for (const { size, first, last } of runs) {
    if (size < LEAST || !GENERATED.test(first) || !GENERATED.test(last)) alone += size;
    else {
      end();
      texts.push(String(size), first, last);
    }
  }
  end();
  return texts;
}
