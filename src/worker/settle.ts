/**
 * The step that ends a run: its settlement travels in the background with those of the same tick, is repeated while
 * the transport is away, and only its answer is told to listeners.
 *
 * @module
 */

import type { Alarms } from "../flow/alarms.ts";
import { createBatcher } from "../flow/batch.ts";
import { MAX_BATCH, MAX_BATCH_BYTES } from "../defaults.ts";
import { patiently } from "../flow/deadline.ts";
import { errorOf, RelevoError, TooLargeError, TransportFull } from "../errors.ts";
import type { Events } from "../events/events.ts";
import type { Settled, Settlement } from "../jobs/exchange.ts";
import { leastOf, lessOf } from "../jobs/record.ts";
import { type Fate, settlementOf } from "./fate.ts";
import { isRefusal, PASSING } from "./passing.ts";
import type { Run } from "./run.ts";
import { sealed } from "./seal.ts";
import { type Bench, letGo, rouse, type State, type Tally } from "./state.ts";
import { pauseOf } from "./trouble.ts";

/** A settlement that fails for a reason that no return of the transport mends is given up after so many tries. */
const MAX_TRIES = 5;
/** How often a record is offered to a store that is full, and the first pause in between, in milliseconds. */
const FULL_TRIES = 3;
const FULL_PAUSE = 500;

/** Makes the batcher that a worker's settlements travel in. */
export function createSettlements(bench: Bench, alarms: Alarms): State["settlements"] {
  const { transport, runtime, callTimeout } = bench;
  return createBatcher<Settlement, Settled>({
    runtime,
    send: (settlements, left) => {
      const call = { deadline: left };
      return patiently(alarms, "settle jobs", call, transport.settle(settlements, call));
    },
    deadline: callTimeout,
    sizeOf: (settlement) => settlement.to === "again" ? settlement.payload?.length ?? 0 : 0,
    maxItems: Math.min(MAX_BATCH, transport.limits.bulk),
    maxBytes: MAX_BATCH_BYTES,
  });
}

/** Sends a run's settlement on its way. */
export function settle(state: State, run: Run, fate: Fate): void {
  run.settling = true;
  state.unsettled++;
  const stored = sealed(state, run, fate);
  if (stored instanceof Promise) stored.then((safe) => begin(state, run, safe));
  else begin(state, run, stored);
}

function begin(state: State, run: Run, fate: Fate): void {
  // Encrypted too late: the worker is gone, and the job's lease runs out.
  if (state.over) {
    state.bench.events.over(run);
    return end(state, run);
  }
  send(state, run, fate, settlementOf(run.delivery, fate), 1);
}

function send(state: State, run: Run, fate: Fate, settlement: Settlement, tries: number): void {
  state.settlements.add(settlement, (answer) => {
    if (answer instanceof Error) return repeat(state, run, fate, settlement, tries, answer);
    state.link.up(run, true);
    if (state.refusals.size > 0 && answer === "settled") state.refusals.taken(run, settlement);
    end(state, run);
    if (answer === "settled" || tookEffect(state, run, tries)) tell(state, run, fate);
    else tellStale(state, run, "settle");
  });
}

/**
 * Whether a settlement that is stale now took effect before, its answer lost: no other worker could have the job yet.
 */
function tookEffect({ bench: { runtime } }: State, run: Run, tries: number): boolean {
  return tries > 1 && runtime.monotonic() < run.leaseEnd;
}

function repeat(
  state: State,
  run: Run,
  fate: Fate,
  settlement: Settlement,
  tries: number,
  error: Error,
): void {
  const full = error instanceof TransportFull && "meta" in settlement;
  const smaller = full || error instanceof TooLargeError ? lessOfSettlement(settlement) : undefined;
  if (smaller !== undefined) return send(state, run, fate, smaller, tries);
  const pause = pauseAfter(state, run, settlement, tries, error);
  if (full && !state.over) return makeRoom(state, run, fate, settlement, tries);
  if (state.over || (tries >= MAX_TRIES && !mayPass(error))) {
    // The lease runs out and the job comes back: late, and not lost.
    end(state, run);
    state.bench.events.over(run);
    state.bench.events.emit("error", { error, during: `settling job '${run.delivery.id}'` });
    return;
  }
  state.alarms.set(pause, () => send(state, run, fate, settlement, tries + 1));
}

/** Tells of a settlement that failed, and how long to pause before the next try, in milliseconds. */
function pauseAfter(state: State, run: Run, settlement: Settlement, tries: number, error: Error): number {
  // It says something of this one record, and nothing of the queue or the link.
  if (error instanceof TooLargeError) return pauseOf(tries, state.bench.runtime.random);
  if (!isRefusal(error)) return state.link.down(run, error);
  state.link.up(run, true);
  return state.refusals.refused(run, settlement, error, tries);
}

/**
 * The store is full, and has no room for the record. It is offered some more times, as others may make room; then the
 * job is given back as it was: that takes no room, and the job is not lost, but its run is not counted. All that is
 * beside the state of the link, as the store takes settlements that free room.
 */
function makeRoom(state: State, run: Run, fate: Fate, settlement: Settlement, tries: number): void {
  const { bench: { runtime } } = state;
  const pause = FULL_PAUSE * 2 ** (tries - 1) * (0.5 + runtime.random() / 2);
  state.alarms.set(pause, () => {
    if (tries < FULL_TRIES) return send(state, run, fate, settlement, tries + 1);
    const back: Fate = { to: "release", reason: "full" };
    send(state, run, back, settlementOf(run.delivery, back), 1);
  });
}

/**
 * A settlement with less of the last error, and that of a dead job then with no more than a dead job needs: what became
 * of a job matters more than all that was said of it.
 */
function lessOfSettlement(settlement: Settlement): Settlement | undefined {
  if (!("meta" in settlement)) return undefined;
  const meta = lessOf(settlement.meta) ?? (settlement.to === "again" ? undefined : leastOf(settlement.meta));
  return meta === undefined ? undefined : { ...settlement, meta };
}

/** Whether an error is a state of the transport that may pass. */
function mayPass(error: Error): boolean {
  return error instanceof RelevoError && PASSING.includes(error.code);
}

/** The run is no longer ours. */
export function end(state: State, run: Run): void {
  state.unsettled--;
  letGo(state, run);
  state.room.open();
  rouse(state);
  state.answered.open();
}

/** Tells that a delivery was not ours any more. */
export function tellStale(state: State, run: Run, during: "settle" | "extend"): void {
  state.tally.stale++;
  const { id, queue } = run.delivery;
  state.bench.events.over(run, "stale");
  state.bench.events.emit("stale", { id, queue, during });
}

/** Tells listeners the fate of a run, now that it is so; never throws, as the answers of other runs come behind it. */
export function tell(state: State, run: Run, fate: Fate): void {
  try {
    tellFate(state, run, fate);
  } catch (thrown) {
    const during = `telling what became of job '${run.delivery.id}'`;
    state.bench.events.emit("error", { error: errorOf(thrown), during });
  }
}

function tellFate({ bench: { events }, tally }: State, run: Run, fate: Fate): void {
  switch (fate.to) {
    case "done":
      tally.completed++;
      if (fate.dropped === undefined) return events.tell("completed", run);
      events.over(run);
      events.emit("error", { error: fate.dropped, during: `dropping job '${run.delivery.id}'` });
      return;
    case "release":
      tally.released++;
      return events.tell("released", run, { reason: fate.reason ?? "stop" });
    case "again":
      return tellAgain(events, tally, run, fate);
    default: {
      tally.failed++;
      const { error, reason, to: channel } = fate;
      events.tell("failed", run, { error, reason, channel });
    }
  }
}

function tellAgain(events: Events, tally: Tally, run: Run, fate: Extract<Fate, { to: "again" }>): void {
  if (fate.told === "retrying") {
    tally.retried++;
    events.tell("retrying", run, { error: fate.error, delay: fate.delay });
  } else if (fate.told === "rescheduled") {
    tally.rescheduled++;
    const when = fate.at === undefined ? { delay: fate.delay ?? 0 } : { at: fate.at };
    // A copy, as a listener that writes into it would change the stored record.
    const next = fate.payload === undefined || !events.hears("rescheduled")
      ? {}
      : { payload: fate.payload.slice() };
    events.tell("rescheduled", run, { ...when, ...next });
  } else {
    tally.released++;
    events.tell("released", run, { reason: fate.reason });
  }
}
