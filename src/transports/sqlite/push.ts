/**
 * Jobs in: ids first, then rows.
 *
 * @module
 */

import type { Pushed, PushJob } from "../../jobs/exchange.ts";
import { isTopicQueue } from "../../names.ts";
import { blobValue, integerOf, textValue, type Value } from "./engine/driver.ts";
import { DELAYED, limitOf, RESERVED, WAITING } from "./model/schema.ts";
import type { Session } from "./context.ts";
import { type Route, routeOf } from "./topics.ts";

/**
 * Bytes of a payload and its metadata together: far below the limit of a row of SQLite, and small enough for memory.
 */
export const MAX_BYTES: number = 64 * 1024 * 1024;
/** Items of one batch, all in one transaction. */
export const MAX_ITEMS = 10_000;

/** Bytes of a row and its places in the indexes, beside its contents. */
const ROW = 200;

/** Rows of one INSERT: a third faster than one by one; more gain nothing. */
const ROWS = 25;
const INSERT_ONE = insert(1);
const INSERT_MANY = insert(ROWS);
/** Rows that differ in their ids and payloads alone: to bind the rest anew for each took a fifth of its INSERT. */
const INSERT_ALIKE = `INSERT INTO relevo_entries (queue, state, time, due, id, name, meta, payload)
  SELECT a.column1, ${WAITING}, a.column2, a.column2, r.column1, a.column3, a.column4, r.column2
  FROM (VALUES (?, ?, ?, ?)) AS a, (VALUES ${list(ROWS, "(?, ?)")}) AS r`;
/** By its own choice SQLite would go through all live jobs of the queue instead. */
const LIVE = `SELECT 1 FROM relevo_entries INDEXED BY relevo_entries_id WHERE queue = ? AND id = ?
  AND state BETWEEN ${WAITING} AND ${RESERVED} LIMIT 1`;
const HELD = "SELECT until FROM relevo_ids WHERE queue = ? AND id = ?";
const HOLD =
  "INSERT INTO relevo_ids VALUES (?, ?, ?) ON CONFLICT (queue, id) DO UPDATE SET until = excluded.until";
const FORGET = `DELETE FROM relevo_ids WHERE (queue, id) IN
  (SELECT queue, id FROM relevo_ids WHERE until <= ? ORDER BY until ${limitOf("?")})`;

/** Nameless parameters: drivers look the numbered ones up by name, each in a list of all. */
function insert(rows: number): string {
  return `INSERT INTO relevo_entries (queue, state, time, due, id, name, meta, payload) VALUES ${
    list(rows, "(?, ?, ?, ?, ?, ?, ?, ?)")
  }`;
}

function list(count: number, item: string): string {
  return Array.from({ length: count }, () => item).join(", ");
}

/** Stores jobs; `atomic`: all or, when one is refused, none. */
export function pushJobs(session: Session, jobs: readonly PushJob[], atomic: boolean): readonly Pushed[] {
  session.space.checkPush(session);
  const routes = routesOf(session, jobs);
  const results = examine(session, jobs, routes);
  const refused = results.some((result) => result !== "stored");
  if (refused && atomic) return results.map((result) => result === "stored" ? "withheld" : result);
  const accepted = refused ? jobs.filter((_, index) => results[index] === "stored") : jobs;
  holdIds(session, accepted);
  const copies = routes.size === 0 ? accepted : accepted.flatMap((job) => copiesOf(job, routes));
  store(session, copies);
  session.space.spend(
    copies.reduce((sum, { payload, meta }) => sum + payload.length + meta.length + ROW, 0),
  );
  // The excess is rolled back.
  session.space.checkPush(session);
  return results;
}

/** Routes by queue; plain queues, which lead to themselves, have none. */
type Routes = ReadonlyMap<string, Route>;

function routesOf(session: Session, jobs: readonly PushJob[]): Routes {
  const routes = new Map<string, Route>();
  let last = "";
  for (const { queue } of jobs) {
    if (queue === last) continue;
    last = queue;
    if (isTopicQueue(queue) && !routes.has(queue)) routes.set(queue, routeOf(session, queue));
  }
  return routes;
}

/** A job for each queue that it goes to. */
function copiesOf(job: PushJob, routes: Routes): readonly PushJob[] {
  return routes.get(job.queue)?.targets.map((queue) => ({ ...job, queue })) ?? [job];
}

/**
 * When a job may run: the caller's instant, or so long after now. Never a fraction of a millisecond early; and never
 * before the epoch, where listings begin.
 */
export function dueOf(
  now: number,
  { at, delay }: { readonly at?: number | undefined; readonly delay?: number | undefined },
): number {
  if (at !== undefined) return Math.max(0, Math.ceil(at));
  return delay === undefined ? now : now + Math.ceil(delay);
}

/** Says of each job whether it can be stored, as if those before it were. */
function examine(session: Session, jobs: readonly PushJob[], routes: Routes): Pushed[] {
  if (jobs.every(({ idWindow }) => idWindow === undefined)) return jobs.map(() => "stored");
  const taken = new Map<string, Set<string>>();
  return jobs.map((job) => {
    const { targets, places } = routes.get(job.queue) ?? { targets: [job.queue], places: [job.queue] };
    if (
      job.idWindow !== undefined &&
      (isTaken(session, job, places) || targets.some((queue) => taken.get(queue)?.has(job.id)))
    ) return "duplicate";
    for (const queue of targets) {
      const ids = taken.get(queue);
      if (ids === undefined) taken.set(queue, new Set([job.id]));
      else ids.add(job.id);
    }
    return "stored";
  });
}

/** A topic's windows are its own queue's; its live jobs may be in those of its groups. */
function isTaken(session: Session, { queue, id }: PushJob, places: readonly string[]): boolean {
  const held = session.statement(HELD).get(queue, id);
  if (held !== undefined && integerOf(held.until) > session.now) return true;
  return places.some((place) => isLive(session, place, id));
}

/** Whether a queue has a live job with this id. */
export function isLive(session: Session, queue: string, id: string): boolean {
  return session.statement(LIVE).get(queue, id) !== undefined;
}

/** Remembers chosen ids for their windows, and forgets twice as many whose windows are over. */
function holdIds(session: Session, jobs: readonly PushJob[]): void {
  let held = 0;
  for (const { queue, id, idWindow = 0 } of jobs) {
    if (idWindow <= 0) continue;
    session.statement(HOLD).run(queue, id, session.now + Math.ceil(idWindow));
    held++;
  }
  if (held > 0) session.statement(FORGET).run(session.now, 2 * held + 1);
}

function store(session: Session, jobs: readonly PushJob[]): void {
  let start = 0;
  for (; start + ROWS <= jobs.length; start += ROWS) {
    const part = jobs.slice(start, start + ROWS);
    if (areAlike(part)) insertAlike(session, part);
    else insertRows(session, INSERT_MANY, part);
  }
  for (; start < jobs.length; start++) insertRows(session, INSERT_ONE, jobs.slice(start, start + 1));
}

/** Whether jobs are to run at once and differ in their ids and payloads alone, as most of a push do. */
function areAlike(jobs: readonly PushJob[]): boolean {
  const [first] = jobs;
  return jobs.every(({ queue, name, meta, at, delay }) =>
    queue === first?.queue && name === first.name && meta === first.meta && at === undefined &&
    delay === undefined
  );
}

function insertAlike(session: Session, jobs: readonly PushJob[]): void {
  const [first] = jobs;
  if (first === undefined) return;
  const { queue, name, meta } = first;
  const values: Value[] = [queue, session.now, name, textValue(meta)];
  for (const { id, payload } of jobs) values.push(id, blobValue(payload));
  session.statement(INSERT_ALIKE).run(...values);
  bring(session, queue, jobs.length);
}

function insertRows(session: Session, sql: string, jobs: readonly PushJob[]): void {
  const { now } = session;
  const values: Value[] = [];
  let queue = "";
  let waiting = 0;
  for (const job of jobs) {
    // An instant in the past is now: it must not come before the waiting jobs.
    const due = Math.max(now, dueOf(now, job));
    const state = due <= now ? WAITING : DELAYED;
    const { id, name, meta, payload } = job;
    values.push(job.queue, state, due, due, id, name, textValue(meta), blobValue(payload));
    if (job.queue !== queue) {
      bring(session, queue, waiting);
      ({ queue } = job);
      waiting = 0;
    }
    if (state === WAITING) waiting++;
    else {
      session.count(queue, "delayed", 1);
      session.expect(queue, due);
    }
  }
  session.statement(sql).run(...values);
  bring(session, queue, waiting);
}

/** Counts jobs of a queue that come together at once. */
function bring(session: Session, queue: string, jobs: number): void {
  if (jobs === 0) return;
  session.count(queue, "waiting", jobs);
  session.bring(queue, jobs);
}
