/**
 * The kinds of recurrences that a relay knows, and those of its texts that were read already: reading a cron expression
 * costs as much as pushing its job.
 *
 * @module
 */

import { quote, wrongType } from "../options.ts";
import { EVERY, type RecurrenceKind, type StoredRecurrence } from "../jobs/schedule.ts";
import type { WrittenWhen } from "./text.ts";

/** Finds recurrences. */
export interface Kinds {
  /** Whether recurrences of this kind can be read here. */
  has(kind: string): boolean;
  /** The recurrence that was written; undefined when its kind is not known here. */
  read(when: WrittenWhen): StoredRecurrence | undefined;
  /** True for the first call with something that is told once for each relay. */
  isNews(what: string): boolean;
  /** Forgets that something was told: it may be told again. */
  forget(what: string): void;
}

/** Why a relay cannot read recurrences of a kind, and what gives it that. */
export function lackOf(kind: string): string {
  return `this relay does not know the recurrences '${kind}': give createRelay({ recurrences: [${kind}] })`;
}

/** Texts that are remembered at most. */
const MAX_READ = 10_000;

/**
 * Makes the table of a relay's kinds.
 *
 * @throws {TypeError} for a value that is no kind, and for two of one name.
 */
export function createKinds(given: readonly RecurrenceKind[], action: string): Kinds {
  const byName = new Map<string, RecurrenceKind>([[EVERY.kind, EVERY]]);
  if (!Array.isArray(given)) {
    throw wrongType(action, "'recurrences'", "a list of kinds, such as [cron]", given);
  }
  for (const one of given) {
    const { kind, read }: Partial<RecurrenceKind> = Object(one);
    if (typeof kind !== "string" || kind === "" || typeof read !== "function") {
      throw new TypeError(
        `Cannot ${action} as a kind of recurrences must have a 'kind' and the function 'read': current value is ${
          quote(one)
        }`,
      );
    }
    const other = byName.get(kind);
    if (other !== undefined && other !== one) {
      throw new TypeError(`Cannot ${action} as two kinds of recurrences are called '${kind}'`);
    }
    byName.set(kind, one);
  }
  const known = new Map<string, StoredRecurrence>();
  const told = new Set<string>();
  return {
    has: (kind) => byName.has(kind),
    read({ kind, text }) {
      const maker = byName.get(kind);
      if (maker === undefined) return undefined;
      const key = `${kind}\n${text}`;
      const found = known.get(key) ?? maker.read(text);
      if (known.size >= MAX_READ) known.clear();
      known.set(key, found);
      return found;
    },
    isNews(what) {
      if (told.has(what)) return false;
      if (told.size >= MAX_READ) told.clear();
      told.add(what);
      return true;
    },
    forget: (what) => void told.delete(what),
  };
}
