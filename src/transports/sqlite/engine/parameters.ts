/**
 * Numbered parameters (`?1`), written as anonymous ones in the order of their places. `node:sqlite` binds numbered
 * parameters by position only from Node 22.20 and 24.7 and from Deno 2.7 on; before that it refuses them.
 *
 * @module
 */

import type { Database, Statement, Value } from "./driver.ts";

const NUMBERED = /\?(\d+)/g;

/** Compiles a statement in which a number names a value as often as it is needed, and may name none. */
export function prepareNumbered(database: Database, sql: string): Statement {
  const places = [...sql.matchAll(NUMBERED)].map(([, number]) => Number(number) - 1);
  if (places.length === 0) return database.prepare(sql);
  const statement = database.prepare(sql.replaceAll(NUMBERED, "?"));
  const placed = (values: readonly Value[]): Value[] => places.map((place) => values[place] ?? null);
  return {
    run: (...values) => statement.run(...placed(values)),
    get: (...values) => statement.get(...placed(values)),
    all: (...values) => statement.all(...placed(values)),
  };
}
