/**
 * Deliveries out of hand again: each statement names the job's row and its lease, so that a stale one finds nothing.
 *
 * @module
 */

import { TransportFull } from "../../errors.ts";
import type { Extended, Extension, Held, Settled, Settlement } from "../../jobs/exchange.ts";
import { blobValue, textValue, type Value } from "./engine/driver.ts";
import { dueOf } from "./push.ts";
import { BACK, DELAYED, FAILED, NO_LEASE, RESERVED, TIMEOUT, WAITING } from "./model/schema.ts";
import type { Session } from "./context.ts";

const CURRENT = `WHERE seq = ? AND lease = ? AND queue = ? AND state = ${RESERVED}`;
const EXTEND = `UPDATE relevo_entries SET time = ? ${CURRENT}`;
const DONE = `DELETE FROM relevo_entries ${CURRENT}`;
const RELEASE =
  `UPDATE relevo_entries SET state = CASE lost WHEN 0 THEN ${WAITING} ELSE ${BACK} END, time = due,
  lease = ${NO_LEASE} ${CURRENT}`;
const ANEW =
  `UPDATE relevo_entries SET state = ?, time = ?, due = ?, lost = 0, reset = 0, lease = ${NO_LEASE}, meta = ?`;
const AGAIN = `${ANEW} ${CURRENT}`;
const AGAIN_WITH = `${ANEW}, payload = ? ${CURRENT}`;
const DEAD =
  `UPDATE relevo_entries SET state = ?, time = ?, reset = 0, lease = ${NO_LEASE}, meta = ?, reason = ? ${CURRENT}`;

/** The token of a delivery: no lease number is ever given twice, the row finds the job. */
export function tokenOf(lease: number, seq: number): string {
  return `${lease}-${seq}`;
}

/** The parts of a token; undefined for a text that is none, to the last character. */
function partsOf(token: string): { readonly lease: number; readonly seq: number } | undefined {
  const dash = token.indexOf("-");
  if (dash < 0) return undefined;
  const lease = Number(token.slice(0, dash));
  const seq = Number(token.slice(dash + 1));
  return tokenOf(lease, seq) === token ? { lease, seq } : undefined;
}

/** Runs a statement that ends in {@linkcode CURRENT}; says whether the delivery was the current one. */
function onCurrent(session: Session, sql: string, { queue, token }: Held, ...values: Value[]): boolean {
  const parts = partsOf(token);
  if (parts === undefined) return false;
  return Number(session.statement(sql).run(...values, parts.seq, parts.lease, queue).changes) === 1;
}

/** Moves the ends of leases. */
export function extendLeases(session: Session, leases: readonly Extension[]): readonly Extended[] {
  return leases.map((lease) => {
    const end = session.now + Math.ceil(lease.ms);
    const held = onCurrent(session, EXTEND, lease, end);
    if (held) session.expect(lease.queue, end);
    return { state: held ? "held" : "stale" };
  });
}

/** Ends deliveries. */
export function settleAll(session: Session, settlements: readonly Settlement[]): readonly Settled[] {
  return settlements.map((settlement) => settle(session, settlement));
}

function settle(session: Session, settlement: Settlement): Settled {
  const fault = "meta" in settlement ? roomFault(session, settlement) : undefined;
  if (fault !== undefined) return fault;
  switch (settlement.to) {
    case "done": {
      if (!onCurrent(session, DONE, settlement)) return "stale";
      break;
    }
    case "release": {
      if (!onCurrent(session, RELEASE, settlement)) return "stale";
      session.count(settlement.queue, "waiting", 1);
      session.bring(settlement.queue, Infinity);
      break;
    }
    case "again": {
      if (!again(session, settlement)) return "stale";
      break;
    }
    case "failed":
    case "timeout": {
      const state = settlement.to === "failed" ? FAILED : TIMEOUT;
      const values = [state, session.now, textValue(settlement.meta), textValue(settlement.reason)] as const;
      if (!onCurrent(session, DEAD, settlement, ...values)) return "stale";
      session.count(settlement.queue, settlement.to, 1);
      break;
    }
  }
  session.count(settlement.queue, "reserved", -1);
  return "settled";
}

/**
 * The reason for which a record cannot be written, if there is one: it is told for this one alone, as others may free
 * the space.
 */
function roomFault(
  session: Session,
  settlement: Extract<Settlement, { readonly meta: string }>,
): TransportFull | undefined {
  const payload = settlement.to === "again" ? settlement.payload?.length ?? 0 : 0;
  return session.space.hasRoom(session, settlement.meta.length + payload)
    ? undefined
    : new TransportFull("Cannot store the record of a job as its file or its disk is full");
}

function again(session: Session, settlement: Settlement & { readonly to: "again" }): boolean {
  const due = dueOf(session.now, settlement);
  const waiting = due <= session.now;
  const values: Value[] = [waiting ? WAITING : DELAYED, due, due, textValue(settlement.meta)];
  const { payload, queue } = settlement;
  if (payload !== undefined) values.push(blobValue(payload));
  if (!onCurrent(session, payload === undefined ? AGAIN : AGAIN_WITH, settlement, ...values)) return false;
  session.count(queue, waiting ? "waiting" : "delayed", 1);
  if (waiting) session.bring(queue, Infinity);
  else session.expect(queue, due);
  return true;
}
