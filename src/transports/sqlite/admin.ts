/**
 * The operator's writes: remove and reload, a bounded page in each transaction, so that a million rows stop no
 * heartbeat.
 *
 * @module
 */

import type { Transport } from "../../contract/transport.ts";
import type { Call } from "../../jobs/exchange.ts";
import { type Channel, type DeadChannel, isDead } from "../../jobs/job.ts";
import { type Chosen, idsOf, isMeant } from "../../store/selections.ts";
import type { Calls } from "./calls.ts";
import { byTime, STRETCHES } from "./model/channels.ts";
import { integerOf, type Row, textOf } from "./engine/driver.ts";
import { limitOf, NO_LEASE, safe, WAITING } from "./model/schema.ts";
import { isLive } from "./push.ts";
import type { Session } from "./context.ts";

/** Rows that one transaction looks at, whether they are chosen or not. */
const ADMIN_PAGE = 1_000;

/** How far a walk over a channel is. */
interface Walk {
  /** Which stretch of the channel, or which of the ids comes next. */
  readonly step: number;
  readonly time: number;
  readonly seq: number;
  /** Rows stored later are none of this walk's business, so that it ends however many come meanwhile. */
  readonly last: number;
}

/** The counts of one page of a walk, and where the next begins; undefined when it was the last. */
interface Walked {
  readonly changed: number;
  readonly taken: number;
  readonly next: Walk | undefined;
}

/** Works on a page in a transaction. */
type Page = (session: Session, from?: Walk) => Walked;

interface Found {
  readonly rows: readonly Row[];
  readonly next: Walk | undefined;
}

const LAST = "SELECT max(seq) AS last FROM relevo_entries";
const REMOVE = "DELETE FROM relevo_entries WHERE seq IN (SELECT value FROM json_each(?))";
/** A new seq puts it behind its predecessors of the same millisecond, in the order of their deaths. */
const RELOAD =
  `UPDATE relevo_entries SET seq = (SELECT max(seq) + 1 FROM relevo_entries), state = ${WAITING}, time = ?1,
  due = ?1, lost = 0, reset = ?2, lease = ${NO_LEASE}, reason = NULL WHERE seq = ?3`;
const BY_ID = `SELECT seq, id, state, ${
  safe("time")
}, name, reason FROM relevo_entries INDEXED BY relevo_entries_id
  WHERE queue = ?1 AND id = ?3`;

/** Makes the operator's writes. */
export function createAdmin(calls: Calls): Pick<Transport, "reload" | "remove"> {
  return {
    async reload(queue, channel, select, bounds) {
      const chosen = { queue, channel, select };
      const page: Page = (session, from) => reloadPage(session, chosen, bounds.reset, from);
      const { changed, taken } = await walk(calls, "reload jobs", bounds, page);
      return { reloaded: changed, taken };
    },
    async remove(queue, channel, select, bounds) {
      const chosen = { queue, channel, select };
      const page: Page = (session, from) => removePage(session, chosen, from);
      return (await walk(calls, "remove jobs", bounds, page)).changed;
    },
  };
}

/** Calls page after page until the walk has ended; answers the counts of all of them. */
async function walk(
  { repeat }: Calls,
  action: string,
  bounds: Call,
  page: Page,
): Promise<Omit<Walked, "next">> {
  let [changed, taken] = [0, 0];
  let next: Walk | undefined;
  await repeat(action, bounds, (session) => page(session, next), (walked) => {
    changed += walked.changed;
    taken += walked.taken;
    next = walked.next;
    return next !== undefined;
  });
  return { changed, taken };
}

/** Removes a page of the chosen jobs. */
function removePage(session: Session, chosen: Chosen, walk?: Walk): Walked {
  const { queue, channel } = chosen;
  const { rows, next } = find(session, chosen, walk ?? begin(session));
  if (rows.length > 0) {
    session.statement(REMOVE).run(JSON.stringify(rows.map((row) => integerOf(row.seq))));
    for (const row of rows) session.count(queue, counterOf(channel, integerOf(row.state)), -1);
  }
  return { changed: rows.length, taken: 0, next };
}

/** Returns a page of the chosen jobs to work. */
function reloadPage(
  session: Session,
  chosen: Chosen<DeadChannel>,
  reset: boolean,
  walk?: Walk,
): Walked {
  const { queue, channel } = chosen;
  const { rows, next } = find(session, chosen, walk ?? begin(session));
  let changed = 0;
  for (const row of rows) {
    if (isLive(session, queue, textOf(row.id))) continue;
    session.statement(RELOAD).run(session.now, reset ? 1 : 0, integerOf(row.seq));
    changed++;
  }
  if (changed > 0) {
    session.count(queue, channel, -changed);
    session.count(queue, "waiting", changed);
    session.bring(queue, Infinity);
  }
  return { changed, taken: rows.length - changed, next };
}

function begin(session: Session): Walk {
  return { step: 0, time: -1, seq: -1, last: integerOf(session.statement(LAST).get()?.last) };
}

/** The counter that a row of a channel was counted in: one that came due is still counted as delayed. */
function counterOf(channel: Channel, state: number): Channel {
  return channel === "waiting" && state === STRETCHES.delayed[0]?.state ? "delayed" : channel;
}

function find(session: Session, chosen: Chosen, walk: Walk): Found {
  const { queue, channel, select } = chosen;
  const ids = idsOf(select);
  if (ids !== undefined) return findIds(session, chosen, ids, walk);
  const stretch = STRETCHES[channel][walk.step];
  if (stretch === undefined) return { rows: [], next: undefined };
  const sql = `SELECT seq, id, state, ${
    safe("time")
  }, name, reason FROM relevo_entries WHERE queue = ?1 AND state = ${stretch.state}
    AND priority = 0 ${stretch.time} AND (time, seq) > (?3, ?4) ORDER BY relevo_entries.time, seq ${
    limitOf("?5")
  }`;
  const page = session.space.rows(ADMIN_PAGE);
  const rows = session.statement(sql).all(queue, session.now, walk.time, walk.seq, page);
  const meant = rows.filter((row) =>
    integerOf(row.seq) <= walk.last &&
    isMeant(select, textOf(row.name), textOf(row.reason), integerOf(row.time))
  );
  const final = rows[page - 1];
  if (final !== undefined) {
    return { rows: meant, next: { ...walk, time: integerOf(final.time), seq: integerOf(final.seq) } };
  }
  const isLast = walk.step + 1 >= STRETCHES[channel].length;
  return { rows: meant, next: isLast ? undefined : { ...walk, step: walk.step + 1, time: -1, seq: -1 } };
}

/** Of several dead jobs with one id the oldest comes first. */
function findIds(
  session: Session,
  { queue, channel }: Chosen,
  ids: readonly string[],
  walk: Walk,
): Found {
  const end = Math.min(ids.length, walk.step + session.space.rows(ADMIN_PAGE));
  const rows: Row[] = [];
  for (const id of ids.slice(walk.step, end)) {
    for (const stretch of STRETCHES[channel]) {
      const sql = `${BY_ID} AND state = ${stretch.state} ${stretch.time} ORDER BY relevo_entries.time, seq`;
      rows.push(...session.statement(sql).all(queue, session.now, id));
    }
  }
  if (isDead(channel)) rows.sort(byTime);
  return { rows, next: end < ids.length ? { ...walk, step: end } : undefined };
}
