/**
 * Recurring jobs: a row a schedule, moved on in the transaction that stores its job.
 *
 * @module
 */

import { schedulePage } from "../../store/pages.ts";
import { advancedBy, dueAmong, fateOfPut } from "../../store/schedules.ts";
import type { PushJob } from "../../jobs/exchange.ts";
import type { Advanced, DueSchedules, NewSchedule, Schedule, Schedules } from "../../contract/recurring.ts";
import type { Calls } from "./calls.ts";
import { blobValue, bytesOf, integerOf, type Row, textOf } from "./engine/driver.ts";
import { pushJobs } from "./push.ts";
import type { Session } from "./context.ts";
import { limitOf } from "./model/schema.ts";

const COLUMNS = "queue, key, tick, paused, note, text, payload";
const ONE = `SELECT ${COLUMNS} FROM relevo_schedules WHERE queue = ? AND key = ?`;
const PUT = `INSERT INTO relevo_schedules (queue, key, tick, paused, text, payload) VALUES (?, ?, ?, 0, ?, ?)
  ON CONFLICT (queue, key) DO UPDATE SET tick = excluded.tick, text = excluded.text, payload = excluded.payload`;
const LIST = `SELECT ${COLUMNS} FROM relevo_schedules WHERE queue = ? AND key > ? ORDER BY key ${
  limitOf("?")
}`;
const DUE = `SELECT ${COLUMNS} FROM relevo_schedules
  WHERE paused = 0 AND tick <= ? AND queue IN (SELECT value FROM json_each(?)) ORDER BY tick ${limitOf("?")}`;
/** A row whose tick another program made a text is never due. */
const NEXT = `SELECT min((SELECT tick FROM relevo_schedules
  WHERE queue = value AND paused = 0 AND tick > ?1 AND typeof(tick) <> 'text' ORDER BY tick LIMIT 1)) AS tick
  FROM json_each(?2)`;
const PAUSE = "UPDATE relevo_schedules SET paused = ?, note = ? WHERE queue = ? AND key = ?";
const REMOVE = "DELETE FROM relevo_schedules WHERE queue = ? AND key = ?";
const MOVE = "UPDATE relevo_schedules SET tick = ? WHERE queue = ? AND key = ?";

/** Makes the ability to store recurring jobs. */
export function createSchedules({ read, write }: Calls): Schedules {
  return {
    put: (schedule, bounds) => write(bounds, (session) => put(session, schedule)),
    get: (queue, key, bounds) => read(bounds, (session) => find(session, queue, key)),
    list: (queue, { limit, cursor = "" }, bounds) =>
      read(bounds, (session) => {
        const rows = session.statement(LIST).all(queue, cursor, limit + 1);
        return schedulePage(rows.map(scheduleOf), limit);
      }),
    remove: (queue, key, bounds) => write(bounds, (session) => remove(session, queue, key)),
    pause: (queue, key, paused, note, bounds) =>
      write(bounds, (session) => {
        const { changes } = session.statement(PAUSE).run(paused ? 1 : 0, note, queue, key);
        return changes > 0;
      }),
    due: (queues, limit, bounds) => read(bounds, (session) => due(session, queues, limit)),
    advance: (...[queue, key, tick, next, job, bounds]) =>
      write(bounds, (session) => advance(session, queue, key, { tick, next, job })),
  };
}

function put(session: Session, schedule: NewSchedule): ReturnType<typeof fateOfPut> {
  const { queue, key, tick, text, payload } = schedule;
  const fate = fateOfPut(find(session, queue, key), schedule);
  if (fate === "same" || fate === "stale") return fate;
  session.space.checkPush(session);
  session.statement(PUT).run(queue, key, tick, text, blobValue(payload));
  session.space.checkPush(session);
  return fate;
}

function find(session: Session, queue: string, key: string): Schedule | undefined {
  const row = session.statement(ONE).get(queue, key);
  return row === undefined ? undefined : scheduleOf(row);
}

function remove(session: Session, queue: string, key: string): boolean {
  return session.statement(REMOVE).run(queue, key).changes > 0;
}

function due(session: Session, queues: readonly string[], limit: number): DueSchedules {
  const { now } = session;
  const wanted = JSON.stringify(queues);
  const rows = session.statement(DUE).all(now, wanted, limit + 1);
  const next = rows.length > limit ? null : session.statement(NEXT).get(now, wanted)?.tick;
  const later = next === null || next === undefined ? Infinity : integerOf(next);
  return dueAmong(rows.map(scheduleOf), now, limit, later);
}

/** A tick whose job is to be pushed, and the one after it. */
interface Step {
  readonly tick: number;
  readonly next: number | undefined;
  readonly job: PushJob | undefined;
}

function advance(session: Session, queue: string, key: string, { tick, next, job }: Step): Advanced {
  const row = session.statement(ONE).get(queue, key);
  if (row === undefined || integerOf(row.paused) === 1 || integerOf(row.tick) !== tick) return "stale";
  const answer = advancedBy(job && pushJobs(session, [job], false)[0]);
  if (next === undefined) remove(session, queue, key);
  else session.statement(MOVE).run(next, queue, key);
  return answer;
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
