/**
 * A diagnosis of a store: causes of lost or refused jobs, settings that are well, and things that cannot be seen from
 * here.
 *
 * @module
 */

/**
 * How bad it is. `danger`: jobs are lost or refused, now or as soon as the store is full; `warning`: an accident would
 * lose jobs, or a limit is near; `ok`: it is well; `unseen`: it cannot be seen over this connection.
 */
export type Severity = "danger" | "warning" | "ok" | "unseen";

/** The finding of one thing. */
export interface Finding {
  /** The thing that was looked at, in one word, as `persistence`: the same on every store that has it. */
  readonly check: string;
  /** How bad it is. */
  readonly severity: Severity;
  /** The finding, in one sentence. */
  readonly says: string;
  /** The remedy, or where to look for a thing that cannot be seen from here. Absent where it is well. */
  readonly advice?: string | undefined;
}

/** The findings of a transport. */
export interface Diagnosis {
  /**
   * The wall clock that judges due times, in milliseconds since the epoch, read at some moment of the call. Absent
   * where it is the caller's own, and where it could not be read.
   */
  readonly clock?: number | undefined;
  /** The findings, in the order in which it was looked at. */
  readonly findings: readonly Finding[];
}

/** Something that is as it should be. */
export function well(check: string, says: string): Finding {
  return { check, severity: "ok", says };
}

/** Something by which an accident would lose jobs, and the remedy. */
export function warning(check: string, says: string, advice: string): Finding {
  return { check, severity: "warning", says, advice };
}

/** Something by which jobs are lost or refused, now or soon, and the remedy. */
export function danger(check: string, says: string, advice: string): Finding {
  return { check, severity: "danger", says, advice };
}

/** Something that cannot be seen over this connection, and where it can be. */
export function unseen(check: string, what: string, look: string): Finding {
  return { check, severity: "unseen", says: `${what}: not visible from here`, advice: look };
}

/** Parts of a limit from which it is near, and from which next to nothing is left. */
const NEAR = 0.8;
const FULL = 0.95;

/** How much of a limit is used; `what` is its subject, as `the limit of memory`, `raise` says how it is raised. */
export function room(check: string, what: string, used: number, limit: number, raise: string): Finding {
  const part = limit > 0 ? used / limit : 1;
  const says = `${Math.floor(part * 100)} % of ${what} is used (${used} of ${limit})`;
  if (part < NEAR) return well(check, says);
  const advice = `Remove dead jobs that are not needed, or ${raise}`;
  if (part < FULL) return warning(check, says, advice);
  return danger(check, `${says}: new jobs are refused, or soon will be`, advice);
}
