/**
 * Jobs out: lost leases first, then returned jobs as far as there are slots, then the rest in the order of due times.
 *
 * @module
 */

import type { Delivery, ReserveOptions } from "../../jobs/exchange.ts";
import type { Found } from "../../store/poll.ts";
import { bytesOf, integerOf, type Row, textOf } from "./engine/driver.ts";
import { BACK, DELAYED, limitOf, NO_LEASE, PAYLOAD, RESERVED, safe, WAITING } from "./model/schema.ts";
import type { Session } from "./context.ts";
import { tokenOf } from "./settle.ts";

/** The request of a reserve. */
export type Wanted = Pick<ReserveOptions, "limit" | "slots" | "lease">;

/** Leases that one reserve takes back beyond its slots. */
const RECLAIM = 200;
/** Jobs read at once, so that their payloads stay within {@linkcode ENOUGH} and a page. */
const PAGE = 250;
const FIRST_PAGE = 50;
/** Bytes of payload after which a reserve is content with less than its limit. */
const ENOUGH = 8 * 1024 * 1024;
/** Rows that are marked one by one; more of them in one statement. */
const SINGLY = 4;

const AT = (state: number): string => `FROM relevo_entries WHERE queue = ?1 AND state = ${state}`;
const ENDED = (state: number): string => `${AT(state)} AND priority = 0 AND time <= ?2`;
const COLUMNS = `seq, id, name, ${PAYLOAD}, meta, ${safe("lost")}, ${safe("reset")}, ${safe("due")}`;
const FRESH = `SELECT ${COLUMNS} ${AT(WAITING)} ORDER BY priority, time, seq ${limitOf("?2")}`;
const CAME_BACK = `SELECT ${COLUMNS} ${AT(BACK)} ORDER BY priority, time, seq ${limitOf("?2")}`;
const DUE = `SELECT ${COLUMNS} ${ENDED(DELAYED)} ORDER BY time, seq ${limitOf("?3")}`;
const LOST = `UPDATE relevo_entries SET state = ${BACK}, time = due, lost = lost + 1, lease = ${NO_LEASE}
  WHERE seq IN (SELECT seq ${ENDED(RESERVED)} ORDER BY time ${limitOf("?3")})`;
/** `OR FAIL` keeps no journal of the statement, a quarter of its price: one that fails ends its whole transaction. */
const MARK = `UPDATE OR FAIL relevo_entries SET state = ${RESERVED}, time = ?, lease = ? WHERE seq`;
const MARK_ONE = `${MARK} = ?`;
const MARK_RUN = `${MARK} BETWEEN ? AND ?`;
const MARK_MANY = `${MARK} IN (SELECT value FROM json_each(?))`;
/** Rare jobs, asked for in one statement: to find none of them one by one takes ten times as long. */
const SELDOM = `SELECT EXISTS (SELECT 1 ${ENDED(RESERVED)}) AS lost, EXISTS (SELECT 1 ${AT(BACK)}) AS back,
  EXISTS (SELECT 1 ${ENDED(DELAYED)}) AS due`;
const READY = `SELECT EXISTS (SELECT 1 ${AT(WAITING)}) OR EXISTS (SELECT 1 ${ENDED(DELAYED)})
  OR EXISTS (SELECT 1 ${ENDED(RESERVED)}) AS fresh, EXISTS (SELECT 1 ${AT(BACK)}) AS back`;
const NEXT_TIME = `SELECT min(time) AS time FROM (
  SELECT min(time) AS time ${AT(DELAYED)} AND priority = 0 UNION ALL SELECT min(time) ${
  AT(RESERVED)
} AND priority = 0)
  WHERE time < ${Number.MAX_SAFE_INTEGER}`;

const IN_USE = "SELECT queue FROM relevo_queues WHERE waiting > 0 OR delayed > 0 OR reserved > 0";
/** Queues that are asked about one by one; of more it is asked first which of all queues hold anything. */
const FEW_QUEUES = 16;

/** The queues that hold a job that is not dead. */
export function queuesInUse(session: Session): readonly string[] {
  return session.statement(IN_USE).all().map(({ queue }) => textOf(queue));
}

/** Those of some queues that may hold something. */
function inUse(session: Session, queues: readonly string[]): ReadonlySet<string> {
  // What came before in this transaction counts.
  if (queues.length > FEW_QUEUES) session.flush();
  return new Set(queues.length > FEW_QUEUES ? queuesInUse(session) : queues);
}

/** Whether a reserve of these queues would find something to do: a read, so that an idle reserve takes no lock. */
export function hasWork(session: Session, queues: readonly string[], slots: number): boolean {
  const used = inUse(session, queues);
  return queues.some((queue) => {
    if (session.empty.has(queue) || !used.has(queue)) return false;
    const row = session.statement(READY).get(queue, session.now);
    const [fresh, back] = [integerOf(row?.fresh) === 1, integerOf(row?.back) === 1];
    if (!fresh && !back) session.empty.add(queue);
    return fresh || (back && slots > 0);
  });
}

/** When the next delayed job of each queue is due or the next of its leases ends; `Infinity`: never. */
export function nextTimes(session: Session, queues: readonly string[]): readonly number[] {
  const used = inUse(session, queues);
  return queues.map((queue) => used.has(queue) ? nextTime(session, queue) : Infinity);
}

function nextTime(session: Session, queue: string): number {
  const time = session.statement(NEXT_TIME).get(queue)?.time;
  return time === null || time === undefined ? Infinity : integerOf(time);
}

/** Takes jobs, and says of each queue when something happens in it next, if nothing else is left. */
export function reserveJobs(
  session: Session,
  queues: readonly string[],
  wanted: Wanted,
): Pick<Found, "deliveries" | "next"> {
  const deliveries: Delivery[] = [];
  const next: (number | undefined)[] = [];
  const limit = session.space.rows(wanted.limit);
  const until = session.now + Math.ceil(wanted.lease);
  let slots = wanted.slots;
  let bytes = 0;
  let lease = 0;

  function hand(queue: string, rows: readonly Row[]): void {
    if (rows.length === 0) return;
    if (lease === 0) lease = session.leases.next();
    mark(session, rows, until, lease);
    session.count(queue, "reserved", rows.length);
    session.expect(queue, until);
    for (const row of rows) {
      const delivery = deliveryOf(queue, row, lease, wanted.lease);
      bytes += delivery.payload.length;
      deliveries.push(delivery);
    }
  }

  function takeBack(queue: string): void {
    for (let page = Math.min(room(), slots); page > 0; page = Math.min(room(), slots)) {
      const rows = session.statement(CAME_BACK).all(queue, page);
      session.count(queue, "waiting", -rows.length);
      hand(queue, rows);
      slots -= rows.length;
      if (rows.length < page) break;
    }
  }

  function room(): number {
    if (bytes > ENOUGH) return 0;
    // Those to come are taken to be like those that came; of the first it is not known how large they are.
    const average = deliveries.length === 0 ? ENOUGH / FIRST_PAGE : Math.max(1, bytes / deliveries.length);
    return Math.min(PAGE, Math.ceil((ENOUGH - bytes) / average), limit - deliveries.length);
  }

  function serve(queue: string): number | undefined {
    const before = deliveries.length;
    const seldom = session.statement(SELDOM).get(queue, session.now);
    const lost = integerOf(seldom?.lost) === 1;
    if (lost) reclaim(session, queue, slots);
    if (lost || integerOf(seldom?.back) === 1) takeBack(queue);
    let left = true;
    for (let page = room(); left && page > 0; page = room()) {
      const rows = fresh(session, queue, page, integerOf(seldom?.due) === 1);
      hand(queue, rows);
      left = rows.length === page;
    }
    if (deliveries.length === before && slots > 0) session.empty.add(queue);
    return left || slots < Math.min(1, wanted.slots) ? undefined : nextTime(session, queue);
  }

  const used = inUse(session, queues);
  for (const queue of queues) {
    if (room() === 0) break;
    if (!used.has(queue)) next.push(Infinity);
    else next.push(session.empty.has(queue) ? nextTime(session, queue) : serve(queue));
  }
  return { deliveries, next };
}

/** Takes back leases that ended, the longest ended first. */
function reclaim(session: Session, queue: string, slots: number): void {
  const most = session.space.rows(RECLAIM + Math.min(slots, RECLAIM));
  const { changes } = session.statement(LOST).run(queue, session.now, most);
  const lost = Number(changes);
  if (lost === 0) return;
  session.count(queue, "reserved", -lost);
  session.count(queue, "waiting", lost);
  session.bring(queue, Infinity);
}

/** The first of the waiting jobs and of those that fell due, by due time and then by the order of dispatch. */
function fresh(session: Session, queue: string, limit: number, late: boolean): readonly Row[] {
  const waiting = session.statement(FRESH).all(queue, limit);
  const due = late ? session.statement(DUE).all(queue, session.now, limit) : [];
  if (due.length === 0) {
    session.count(queue, "waiting", -waiting.length);
    return waiting;
  }
  const delayed = new Set(due);
  const rows = [...waiting, ...due]
    .sort((a, b) => integerOf(a.due) - integerOf(b.due) || integerOf(a.seq) - integerOf(b.seq))
    .slice(0, limit);
  for (const row of rows) session.count(queue, delayed.has(row) ? "delayed" : "waiting", -1);
  return rows;
}

function mark(session: Session, rows: readonly Row[], until: number, lease: number): void {
  const seqs = rows.map((row) => integerOf(row.seq));
  const first = seqs[0] ?? 0;
  if (seqs.length <= SINGLY) {
    for (const seq of seqs) session.statement(MARK_ONE).run(until, lease, seq);
  } else if (seqs.every((seq, index) => seq === first + index)) {
    // No row of another queue can be between them: to look each one up took a tenth of its mark.
    session.statement(MARK_RUN).run(until, lease, first, first + seqs.length - 1);
  } else session.statement(MARK_MANY).run(until, lease, JSON.stringify(seqs));
}

function deliveryOf(queue: string, row: Row, lease: number, ms: number): Delivery {
  const delivery: Delivery = {
    queue,
    token: tokenOf(lease, integerOf(row.seq)),
    id: textOf(row.id),
    name: textOf(row.name),
    payload: bytesOf(row.payload),
    meta: textOf(row.meta),
    lost: integerOf(row.lost),
    reset: integerOf(row.reset) === 1,
    due: integerOf(row.due),
    lease: ms,
  };
  return row.payload === null ? { ...delivery, bare: true } : delivery;
}
