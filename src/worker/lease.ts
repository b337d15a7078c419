/**
 * The heartbeat: while a worker holds deliveries, a third of their lease is the longest that passes without an
 * extension. One alarm serves all leases. Jobs that wait for a slot in vain are given back at the beat.
 *
 * @module
 */

import type { Alarms } from "../flow/alarms.ts";
import { createBatcher } from "../flow/batch.ts";
import { patiently } from "../flow/deadline.ts";
import { HEARTBEAT_PART, MAX_BATCH, MAX_BATCH_BYTES } from "../defaults.ts";
import { LeaseLost } from "../errors.ts";
import type { Extended, Extension } from "../jobs/exchange.ts";
import { isRefusal } from "./passing.ts";
import { noteBeat, noteClock } from "./pulse.ts";
import type { Run } from "./run.ts";
import { settle, tellStale } from "./settle.ts";
import { type Bench, isOfProcess, letGo, rouse, type State } from "./state.ts";

/** Extensions of one lease that may be under way: those of a whole lease, so that a lost answer costs no lease. */
const MAX_UNANSWERED = 3;

/** Makes the batcher that a worker's extensions travel in. */
export function createExtensions(
  { transport, runtime, callTimeout }: Bench,
  alarms: Alarms,
): State["extensions"] {
  return createBatcher<Extension, Extended>({
    runtime,
    send: (leases, left) => {
      const call = { deadline: left };
      return patiently(alarms, "extend leases", call, transport.extend(leases, call));
    },
    deadline: callTimeout,
    sizeOf: () => 0,
    maxItems: Math.min(MAX_BATCH, transport.limits.bulk),
    maxBytes: MAX_BATCH_BYTES,
  });
}

/** Extends one lease now; rejects when the transport does. */
export function extendOne(state: State, lease: Extension): Promise<Exclude<Extended, Error>> {
  return new Promise((resolve, reject) => {
    state.extensions.add(lease, (answer) => answer instanceof Error ? reject(answer) : resolve(answer));
  });
}

/**
 * Begins the heartbeat; it ends with the worker's alarms. On a store of this process alone it rests while nothing is
 * held; elsewhere it beats on, as the leases of other transports of this process must be looked after when the thread
 * was away.
 */
export function startHeartbeat(state: State): void {
  state.heartbeat.last = state.bench.runtime.monotonic();
  noteClock(state);
  if (!mayRest(state)) schedule(state, state.settings.lease);
}

function mayRest({ held, bench: { transport } }: State): boolean {
  return held.size === 0 && isOfProcess(transport);
}

/** Beats sooner where a lease is shorter than those before: the worker was told so, or the transport granted less. */
export function hasten(state: State, lease: number): void {
  const { heartbeat, bench: { runtime } } = state;
  if (heartbeat.next === undefined) {
    heartbeat.last = runtime.monotonic();
    return schedule(state, Math.min(lease, state.settings.lease));
  }
  if (!(lease < heartbeat.lease)) return;
  heartbeat.next?.cancel();
  noteBeat(state);
  schedule(state, lease);
}

function schedule(state: State, lease: number): void {
  state.heartbeat.lease = lease;
  state.heartbeat.next = state.alarms.set(Math.max(1, lease * HEARTBEAT_PART), () => beatAll(state));
}

function beatAll(state: State): void {
  const { held, settings, heartbeat } = state;
  noteBeat(state);
  heartbeat.next = undefined;
  let shortest = settings.lease;
  for (const run of held.items()) {
    if (handedBack(state, run)) continue;
    if (run.lease < shortest) shortest = run.lease;
    beat(state, run, settings.lease);
  }
  if (!mayRest(state)) schedule(state, shortest);
}

/**
 * A job that was fetched ahead and still waits at the second beat: handlers have become slow, and others may be free.
 */
function handedBack(state: State, run: Run): boolean {
  if (run.beats++ === 0 || run.settling || run.running >= 0) return false;
  state.buffer.remove(run);
  settle(state, run, { to: "release", reason: "busy" });
  return true;
}

/** Extends a lease on its way through the worker. */
export function beat(state: State, run: Run, ms: number): void {
  // Or they would pile up while the transport does not answer.
  if (run.unanswered >= MAX_UNANSWERED) return;
  run.unanswered++;
  const { queue, token } = run.delivery;
  const sent = state.bench.runtime.monotonic();
  run.sent = sent;
  const extension = { queue, token, ms };
  state.extensions.add(extension, (answer) => {
    run.unanswered--;
    run.answered = sent;
    rouse(state);
    state.answered.open();
    if (answer instanceof Error) return notExtended(state, run, extension, answer);
    extendable(state, run);
    if (answer.state === "held") {
      if (state.refusals.size > 0) state.refusals.taken(run, extension);
      run.lease = answer.lease ?? ms;
      run.leaseEnd = sent + run.lease;
    }
    // A settlement on its way may have ended the delivery already, and tells by itself whether it came too late.
    if (answer.state === "stale" && !run.settling && run.within === undefined) lose(state, run);
  });
}

/** Tells of an extension that failed; the next beat tries again. */
function notExtended(state: State, run: Run, extension: Extension, error: Error): void {
  // The run is over, so that no other call of it would show that it works again.
  if (run.held < 0) return;
  if (!isRefusal(error)) return void state.link.down(run, error);
  extendable(state, run);
  state.refusals.refused(run, extension, error, 1);
}

/** An extension was answered, which says nothing of a settlement that may have failed. */
function extendable({ link }: State, run: Run): void {
  if (!run.settling) link.up(run, true);
}

/** The job is another worker's by now: its handler is told, and whatever it still returns is discarded. */
function lose(state: State, run: Run): void {
  if (run.abandoned !== undefined || !letGo(state, run)) return;
  run.abandoned = "lost";
  tellStale(state, run, "extend");
  if (run.running < 0) state.buffer.remove(run);
  run.abort(new LeaseLost(run.delivery.id));
  state.room.open();
  rouse(state);
}
