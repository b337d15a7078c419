/**
 * The operator's writes: remove and reload, a bounded page in each transaction, so that a million rows stop no
 * heartbeat.
 *
 * @module
 */

import type { Selection } from "../../jobs/exchange.ts";
import type { Channel, DeadChannel } from "../../jobs/job.ts";
import { byTime, DEAD_STATES, STRETCHES } from "./model/channels.ts";
import { integerOf, type Row, textOf } from "./engine/driver.ts";
import { NO_LEASE, RESERVED, safe, WAITING } from "./model/schema.ts";
import type { Session } from "./context.ts";

/** Rows that one transaction looks at, whether they are chosen or not. */
export const ADMIN_PAGE = 1_000;

/** How far a walk over a channel is. */
export interface Walk {
  /** Which stretch of the channel, or which of the ids comes next. */
  readonly step: number;
  readonly time: number;
  readonly seq: number;
  /** Rows stored later are none of this walk's business, so that it ends however many come meanwhile. */
  readonly last: number;
}

/** The counts of one page of a walk; `next` is absent when it was the last. */
export interface Walked {
  readonly changed: number;
  readonly taken: number;
  readonly next?: Walk;
}

interface Chosen {
  readonly rows: readonly Row[];
  readonly next?: Walk;
}

const LAST = "SELECT max(seq) AS last FROM relevo_entries";
const REMOVE = "DELETE FROM relevo_entries WHERE seq IN (SELECT value FROM json_each(?))";
/** By its own choice SQLite would go through all live jobs of the queue instead. */
const LIVE = `SELECT 1 FROM relevo_entries INDEXED BY relevo_entries_id WHERE queue = ? AND id = ?
  AND state BETWEEN ${WAITING} AND ${RESERVED} LIMIT 1`;
/** A new seq puts it behind its predecessors of the same millisecond, in the order of their deaths. */
const RELOAD =
  `UPDATE relevo_entries SET seq = (SELECT max(seq) + 1 FROM relevo_entries), state = ${WAITING}, time = ?1,
  due = ?1, lost = 0, reset = ?2, lease = ${NO_LEASE}, reason = NULL WHERE seq = ?3`;
const BY_ID = `SELECT seq, id, state, ${
  safe("time")
}, name, reason FROM relevo_entries INDEXED BY relevo_entries_id
  WHERE queue = ?1 AND id = ?3`;

/** Removes a page of the chosen jobs. */
export function removePage(
  session: Session,
  queue: string,
  channel: Channel,
  select: Selection,
  walk?: Walk,
): Walked {
  const { rows, next } = choose(session, queue, channel, select, walk ?? begin(session));
  if (rows.length > 0) {
    session.statement(REMOVE).run(JSON.stringify(rows.map((row) => integerOf(row.seq))));
    for (const row of rows) session.count(queue, counterOf(channel, integerOf(row.state)), -1);
  }
  return { changed: rows.length, taken: 0, ...(next === undefined ? {} : { next }) };
}

/** Returns a page of the chosen jobs to work. */
export function reloadPage(
  session: Session,
  queue: string,
  channel: DeadChannel,
  select: Selection,
  reset: boolean,
  walk?: Walk,
): Walked {
  const { rows, next } = choose(session, queue, channel, select, walk ?? begin(session));
  let changed = 0;
  for (const row of rows) {
    if (session.statement(LIVE).get(queue, textOf(row.id)) !== undefined) continue;
    session.statement(RELOAD).run(session.now, reset ? 1 : 0, integerOf(row.seq));
    changed++;
  }
  if (changed > 0) {
    session.count(queue, channel, -changed);
    session.count(queue, "waiting", changed);
    session.bring(queue, Infinity);
  }
  return { changed, taken: rows.length - changed, ...(next === undefined ? {} : { next }) };
}

function begin(session: Session): Walk {
  return { step: 0, time: -1, seq: -1, last: integerOf(session.statement(LAST).get()?.last) };
}

/** The counter that a row of a channel was counted in: one that came due is still counted as delayed. */
function counterOf(channel: Channel, state: number): Channel {
  return channel === "waiting" && state === STRETCHES.delayed[0]?.state ? "delayed" : channel;
}

function choose(session: Session, queue: string, channel: Channel, select: Selection, walk: Walk): Chosen {
  if (select !== "all" && "ids" in select) return chooseIds(session, queue, channel, select.ids, walk);
  const stretch = STRETCHES[channel][walk.step];
  if (stretch === undefined) return { rows: [] };
  const sql = `SELECT seq, id, state, ${
    safe("time")
  }, name, reason FROM relevo_entries WHERE queue = ?1 AND state = ${stretch.state}
    AND priority = 0 ${stretch.time} AND (time, seq) > (?3, ?4) ORDER BY relevo_entries.time, seq LIMIT ${ADMIN_PAGE}`;
  const rows = session.statement(sql).all(queue, session.now, walk.time, walk.seq);
  const chosen = rows.filter((row) => integerOf(row.seq) <= walk.last && fits(row, select));
  const final = rows[ADMIN_PAGE - 1];
  if (final !== undefined) {
    return { rows: chosen, next: { ...walk, time: integerOf(final.time), seq: integerOf(final.seq) } };
  }
  if (walk.step + 1 >= STRETCHES[channel].length) return { rows: chosen };
  return { rows: chosen, next: { ...walk, step: walk.step + 1, time: -1, seq: -1 } };
}

/** Of several dead jobs with one id the oldest comes first. */
function chooseIds(
  session: Session,
  queue: string,
  channel: Channel,
  ids: readonly string[],
  walk: Walk,
): Chosen {
  const end = Math.min(ids.length, walk.step + ADMIN_PAGE);
  const rows: Row[] = [];
  for (const id of new Set(ids.slice(walk.step, end))) {
    for (const stretch of STRETCHES[channel]) {
      const sql = `${BY_ID} AND state = ${stretch.state} ${stretch.time} ORDER BY relevo_entries.time, seq`;
      rows.push(...session.statement(sql).all(queue, session.now, id));
    }
  }
  if (channel in DEAD_STATES) rows.sort(byTime);
  return end < ids.length ? { rows, next: { ...walk, step: end } } : { rows };
}

/** Whether a row is one that was asked for. */
function fits(row: Row, select: Selection): boolean {
  if (select === "all" || "ids" in select) return true;
  const { name, reason, before } = select;
  if (name !== undefined && textOf(row.name) !== name) return false;
  if (reason !== undefined && textOf(row.reason) !== reason) return false;
  return before === undefined || integerOf(row.time) < before;
}
