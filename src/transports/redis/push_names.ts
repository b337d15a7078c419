/**
 * Which jobs have their name in the name of their entry's first field. Entries that follow one another in a stream share
 * the names of their fields, so that a name costs nothing where neighbours have the same; where names change, field names
 * that change would cost more than a name in the field's value.
 *
 * @module
 */

import { HEAD, NAMED_HEAD } from "./scripts/lua.ts";

/** Jobs of one name in a row from which on the next is taken to have it, too. */
const STEADY = 8;
/** Queues that are remembered at most. */
const MAX_QUEUES = 1_000;

/** The names of the jobs that a client stored last. */
export interface Names {
  /**
   * The first field of jobs that are stored next in a queue, not covered by a range: so many of one name, or of several
   * where it is undefined.
   */
  fieldOf(queue: string, name: string | undefined, count: number): string;
}

/** Makes an empty memory of names. */
export function createNames(): Names {
  const rows = new Map<string, { name: string | undefined; length: number }>();
  // One text for all jobs of a name, whatever queue they are of.
  let last = { name: "", field: HEAD };
  return {
    fieldOf(queue, name, count) {
      let row = rows.get(queue);
      if (row === undefined) {
        if (rows.size >= MAX_QUEUES) rows.clear();
        rows.set(queue, row = { name, length: STEADY });
      } else if (row.name === name) row.length += count;
      else {
        row.name = name;
        row.length = count;
      }
      if (!name || row.length < STEADY) return HEAD;
      if (last.name !== name) last = { name, field: NAMED_HEAD + name };
      return last.field;
    },
  };
}

/** What the first field says of a job: its id, its name where the field's name has none, and its metadata, a line each. */
export function headOf(
  field: string,
  { id, name, meta }: { readonly id: string; readonly name: string; readonly meta: string },
): string {
  return field === HEAD ? `${id}\n${name}\n${meta}` : `${id}\n${meta}`;
}

/** The name that all of these have; undefined where they have several. */
export function commonName<T>(all: readonly T[], nameOf: (one: T) => string | undefined): string | undefined {
  const [first] = all;
  const name = first === undefined ? undefined : nameOf(first);
  return all.every((one) => nameOf(one) === name) ? name : undefined;
}
