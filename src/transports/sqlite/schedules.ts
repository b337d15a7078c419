/**
 * Recurring jobs: a row a schedule, moved on in the transaction that stores its job.
 *
 * @module
 */

import { schedulePage } from "../../store/pages.ts";
import { dueAmong, fateOfPut } from "../../store/schedules.ts";
import type { PushJob } from "../../jobs/exchange.ts";
import type {
  Advanced,
  DueSchedules,
  NewSchedule,
  Schedule,
  SchedulePage,
} from "../../contract/recurring.ts";
import { blobValue, bytesOf, integerOf, type Row, textOf } from "./engine/driver.ts";
import { pushJobs } from "./push.ts";
import type { Session } from "./context.ts";

const COLUMNS = "queue, key, tick, paused, note, text, payload";
const ONE = `SELECT ${COLUMNS} FROM relevo_schedules WHERE queue = ? AND key = ?`;
const PUT = `INSERT INTO relevo_schedules (queue, key, tick, paused, text, payload) VALUES (?, ?, ?, 0, ?, ?)
  ON CONFLICT (queue, key) DO UPDATE SET tick = excluded.tick, text = excluded.text, payload = excluded.payload`;
const LIST = `SELECT ${COLUMNS} FROM relevo_schedules WHERE queue = ? AND key > ? ORDER BY key LIMIT ?`;
const DUE = `SELECT ${COLUMNS} FROM relevo_schedules
  WHERE paused = 0 AND tick <= ? AND queue IN (SELECT value FROM json_each(?)) ORDER BY tick LIMIT ?`;
/** A row whose tick another program made a text is never due. */
const NEXT = `SELECT min((SELECT tick FROM relevo_schedules
  WHERE queue = value AND paused = 0 AND tick > ?1 AND typeof(tick) <> 'text' ORDER BY tick LIMIT 1)) AS tick
  FROM json_each(?2)`;
const PAUSE = "UPDATE relevo_schedules SET paused = ?, note = ? WHERE queue = ? AND key = ?";
const REMOVE = "DELETE FROM relevo_schedules WHERE queue = ? AND key = ?";
const MOVE = "UPDATE relevo_schedules SET tick = ? WHERE queue = ? AND key = ?";

/** Stores a schedule, unless it is there as it is. */
export function putSchedule(
  session: Session,
  schedule: NewSchedule,
): "created" | "replaced" | "same" | "stale" {
  const { queue, key, tick, text, payload } = schedule;
  const fate = fateOfPut(getSchedule(session, queue, key), schedule);
  if (fate === "same" || fate === "stale") return fate;
  session.space.checkPush(session);
  session.statement(PUT).run(queue, key, tick, text, blobValue(payload));
  session.space.checkPush(session);
  return fate;
}

/** The schedule with this key. */
export function getSchedule(session: Session, queue: string, key: string): Schedule | undefined {
  const row = session.statement(ONE).get(queue, key);
  return row === undefined ? undefined : scheduleOf(row);
}

/** A page of a queue's schedules. */
export function listSchedules(
  session: Session,
  queue: string,
  { limit, cursor = "" }: { readonly limit: number; readonly cursor?: string | undefined },
): SchedulePage {
  const rows = session.statement(LIST).all(queue, cursor, limit + 1);
  return schedulePage(rows.map(scheduleOf), limit);
}

/** Whether there was one. */
export function removeSchedule(session: Session, queue: string, key: string): boolean {
  return session.statement(REMOVE).run(queue, key).changes > 0;
}

/** Whether there was one. */
export function pauseSchedule(
  session: Session,
  queue: string,
  key: string,
  paused: boolean,
  note: string,
): boolean {
  return session.statement(PAUSE).run(paused ? 1 : 0, note, queue, key).changes > 0;
}

/** The jobs that fell due, and how long it is to the next. */
export function dueSchedules(session: Session, queues: readonly string[], limit: number): DueSchedules {
  const { now } = session;
  const wanted = JSON.stringify(queues);
  const rows = session.statement(DUE).all(now, wanted, limit + 1);
  const next = rows.length > limit ? null : session.statement(NEXT).get(now, wanted)?.tick;
  const later = next === null || next === undefined ? Infinity : integerOf(next);
  return dueAmong(rows.map(scheduleOf), now, limit, later);
}

/** Moves a schedule on, and stores its tick's job. A job whose id is taken is there already: its tick is over all the same. */
export function advanceSchedule(
  session: Session,
  queue: string,
  key: string,
  tick: number,
  next: number | undefined,
  job: PushJob | undefined,
): Advanced {
  const row = session.statement(ONE).get(queue, key);
  if (row === undefined || integerOf(row.paused) === 1 || integerOf(row.tick) !== tick) return "stale";
  const pushed = job === undefined ? undefined : pushJobs(session, [job], false)[0];
  if (pushed instanceof Error) throw pushed;
  if (next === undefined) removeSchedule(session, queue, key);
  else session.statement(MOVE).run(next, queue, key);
  if (job === undefined) return "none";
  return pushed === "duplicate" ? "duplicate" : "pushed";
}

function scheduleOf(row: Row): Schedule {
  return {
    queue: textOf(row.queue),
    key: textOf(row.key),
    tick: integerOf(row.tick),
    paused: integerOf(row.paused) === 1,
    note: textOf(row.note),
    text: textOf(row.text),
    payload: bytesOf(row.payload),
  };
}
