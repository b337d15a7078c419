/**
 * The operator's reads: counts, listings, single jobs. Reads only.
 *
 * @module
 */

import type { Entry, Page, PageRequest } from "../../jobs/exchange.ts";
import { pageOf, placeIn } from "../../store/pages.ts";
import { type Channel, isDead, type QueueInfo } from "../../jobs/job.ts";
import { byTime, channelOf, type Stretch, STRETCHES } from "./model/channels.ts";
import { bytesOf, integerOf, type Row, textOf } from "./engine/driver.ts";
import { BACK, DELAYED, limitOf, PAYLOAD, RESERVED, safe, WAITING } from "./model/schema.ts";
import type { Session } from "./context.ts";

const AT = (state: number): string =>
  `FROM relevo_entries WHERE queue = ?1 AND state = ${state} AND priority = 0`;
const NEVER = "9000000000000000";
const OLDEST = (state: number, more = ""): string =>
  `coalesce((SELECT min(time) ${AT(state)} ${more}), ${NEVER})`;
/**
 * One statement, so that all counts are of one moment. Delayed jobs that fell due are counted in the index, 30 ms a
 * million.
 */
const INFO = `SELECT q.*, (SELECT count(*) ${AT(DELAYED)} AND time <= ?2) AS due,
  min(${NEVER}, ${OLDEST(WAITING)}, ${OLDEST(BACK)}, ${OLDEST(DELAYED, "AND time <= ?2")}) AS oldest
  FROM relevo_queues q WHERE queue = ?1`;
const QUEUES = "SELECT queue FROM relevo_queues UNION SELECT queue FROM relevo_schedules ORDER BY queue";
const COLUMNS = `seq, queue, state, ${safe("time")}, id, name, meta, ${safe("lost")}, ${
  safe("reset")
}, reason`;
const GET = `SELECT ${COLUMNS}, ${PAYLOAD}, 0 AS size FROM relevo_entries WHERE queue = ? AND id = ?
  ORDER BY state BETWEEN ${WAITING} AND ${RESERVED} DESC, relevo_entries.time DESC, seq DESC LIMIT 1`;

/** Exact counts. */
export function infoOf(session: Session, queue: string): QueueInfo {
  const row = session.statement(INFO).get(queue, session.now);
  if (row === undefined) return { waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0 };
  const due = integerOf(row.due);
  const info = {
    waiting: integerOf(row.waiting) + due,
    // Another program may have put a row in beside the view, and so beside the counters.
    delayed: Math.max(0, integerOf(row.delayed) - due),
    reserved: integerOf(row.reserved),
    failed: integerOf(row.failed),
    timeout: integerOf(row.timeout),
  };
  return info.waiting === 0 ? info : { ...info, oldest: Math.max(0, session.now - integerOf(row.oldest)) };
}

/** The names of all queues that ever held a job, or hold a schedule. */
export function queueNames(session: Session): readonly string[] {
  return session.statement(QUEUES).all().map((row) => textOf(row.queue));
}

/** The live job of each id, else its newest dead one. */
export function getJobs(
  session: Session,
  queue: string,
  ids: readonly string[],
): readonly (Entry | undefined)[] {
  return ids.map((id) => {
    const row = session.statement(GET).get(queue, id);
    return row === undefined ? undefined : entryOf(row, session.now, Infinity);
  });
}

/** Where a listing stands: in which group of stretches, and behind which entry of it. */
interface Place {
  readonly group: number;
  readonly time: number;
  readonly seq: number;
}

/** A page of a listing. */
export function listJobs(session: Session, queue: string, channel: Channel, page: PageRequest): Page {
  const newestFirst = isDead(channel);
  const start = newestFirst ? { time: 9e15, seq: 9e15 } : { time: -1, seq: -1 };
  const from = placeOf(page.cursor) ?? { group: 0, ...start };
  const groups = groupsOf(channel);
  const found: { readonly row: Row; readonly group: number }[] = [];
  for (let group = from.group; group < groups.length && found.length <= page.limit; group++) {
    const { time, seq } = group === from.group ? from : start;
    const rows: Row[] = [];
    for (const stretch of groups[group] ?? []) {
      const sql = listing(stretch, newestFirst);
      rows.push(...session.statement(sql).all(queue, session.now, time, seq, page.limit + 1, page.preview));
    }
    rows.sort(byTime);
    if (newestFirst) rows.reverse();
    for (const row of rows) found.push({ row, group });
  }
  const entry = ({ row }: { readonly row: Row }): Entry => entryOf(row, session.now, page.preview);
  return pageOf(
    found,
    page.limit,
    entry,
    ({ group, row }) => `${group}.${integerOf(row.time)}.${integerOf(row.seq)}`,
  );
}

/** Returned jobs go first; waiting jobs and those that fell due go by due time, whichever of the two they are. */
function groupsOf(channel: Channel): readonly (readonly Stretch[])[] {
  const stretches = STRETCHES[channel];
  return channel === "waiting" ? [stretches.slice(0, 1), stretches.slice(1)] : [stretches];
}

function listing({ state, time }: Stretch, newestFirst: boolean): string {
  const [beyond, direction] = newestFirst ? ["<", "DESC"] : [">", "ASC"];
  return `SELECT ${COLUMNS}, octet_length(payload) AS size,
    CASE typeof(payload) WHEN 'blob' THEN substr(payload, 1, ?6) WHEN 'integer' THEN CAST(payload AS TEXT) ELSE payload END
      AS payload
    FROM relevo_entries WHERE queue = ?1 AND state = ${state} AND priority = 0 ${time}
    AND (time, seq) ${beyond} (?3, ?4) ORDER BY relevo_entries.time ${direction}, seq ${direction} ${
    limitOf("?5")
  }`;
}

function placeOf(cursor: string | undefined): Place | undefined {
  const [group, time, seq] = placeIn(cursor, /^([01])\.(\d{1,16})\.(\d{1,16})$/);
  return group === undefined ? undefined : { group: Number(group), time: Number(time), seq: Number(seq) };
}

function entryOf(row: Row, now: number, preview: number): Entry {
  const payload = bytesOf(row.payload);
  const time = integerOf(row.time);
  return {
    queue: textOf(row.queue),
    channel: channelOf(integerOf(row.state), time, now),
    id: textOf(row.id),
    name: textOf(row.name),
    payload: payload.length > preview ? payload.subarray(0, preview) : payload,
    size: Math.max(integerOf(row.size), payload.length),
    meta: textOf(row.meta),
    lost: integerOf(row.lost),
    reset: integerOf(row.reset) === 1,
    time,
  };
}
