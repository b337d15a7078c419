/**
 * Groups of topics: those that are bound, and the jobs that the first of them gets.
 *
 * @module
 */

import { groupQueue, partsOf, topicQueue } from "../../names.ts";
import type { Topics } from "../../contract/transport.ts";
import type { Calls } from "./calls.ts";
import { integerOf, textOf } from "./engine/driver.ts";
import { DELAYED, limitOf, WAITING } from "./model/schema.ts";
import type { Session } from "./context.ts";

/** Rows that one transaction moves: as many as the largest push stores, so that no producer is faster. */
const PAGE = 10_000;

const GROUPS = "SELECT name FROM relevo_groups WHERE topic = ? AND bound = 1 ORDER BY name";
const ALL = "SELECT name, bound FROM relevo_groups WHERE topic = ?";
const ADD = "INSERT INTO relevo_groups VALUES (?, ?, ?)";
const COMPLETE = "UPDATE relevo_groups SET bound = 1 WHERE topic = ? AND name = ?";
const REMOVE = "DELETE FROM relevo_groups WHERE topic = ? AND name = ?";
/** Time and number stay, so that all keep their places. */
const MOVE = `UPDATE relevo_entries SET queue = ? WHERE seq IN
  (SELECT seq FROM relevo_entries WHERE queue = ? AND state = ? ORDER BY priority, time, seq ${
  limitOf("?")
})`;

/** Makes the ability to fan out. */
export function createTopics({ read, write, repeat }: Calls): Topics {
  return {
    bind: (topic, group, bounds) =>
      repeat("bind a group", bounds, (session) => bindPart(session, topic, group), (done) => !done),
    unbind: (topic, group, bounds) =>
      write(bounds, (session) => session.statement(REMOVE).run(topic, group).changes > 0),
    groups: (topic, bounds) =>
      read(bounds, (session) => session.statement(GROUPS).all(topic).map((row) => textOf(row.name))),
  };
}

/** The queues that a job pushed to a queue goes to. */
export interface Route {
  /** A copy to each of these queues. */
  readonly targets: readonly string[];
  /** The queues in which a live job with its id may be. */
  readonly places: readonly string[];
}

/** The route from a topic's own queue. */
export function routeOf(session: Session, own: string): Route {
  const { topic = "" } = partsOf(own);
  const targets: string[] = [];
  const places = [own];
  for (const row of session.statement(ALL).all(topic)) {
    const queue = groupQueue(topic, textOf(row.name));
    places.push(queue);
    if (integerOf(row.bound) === 1) targets.push(queue);
  }
  return { targets: targets.length === 0 ? [own] : targets, places };
}

/**
 * Does a part of a binding, and says whether that was the last. The first group is entered before it is bound: a job
 * that waits is moved to it page by page, so that a million rows stop no heartbeat, and whatever is pushed meanwhile
 * waits with the rest. The next bind goes on where a process died that was at it.
 */
function bindPart(session: Session, topic: string, group: string): boolean {
  const rows = session.statement(ALL).all(topic);
  const begun = rows.find((row) => integerOf(row.bound) === 0);
  const heir = begun === undefined ? group : textOf(begun.name);
  if (begun === undefined) {
    if (rows.some((row) => textOf(row.name) === group)) return true;
    session.statement(ADD).run(topic, group, rows.length === 0 ? 0 : 1);
    if (rows.length > 0) return true;
  }
  if (movePage(session, topicQueue(topic), groupQueue(topic, heir))) return false;
  session.statement(COMPLETE).run(topic, heir);
  return heir === group;
}

/** Moves a page; says whether more may be there. */
function movePage(session: Session, from: string, to: string): boolean {
  let room = session.space.rows(PAGE);
  for (const [state, channel] of [[WAITING, "waiting"], [DELAYED, "delayed"]] as const) {
    if (room === 0) break;
    const moved = Number(session.statement(MOVE).run(to, from, state, room).changes);
    if (moved === 0) continue;
    session.count(from, channel, -moved);
    session.count(to, channel, moved);
    session.bring(to, Infinity);
    room -= moved;
  }
  return room === 0;
}
