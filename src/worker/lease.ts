/**
 * The heartbeat: while a worker holds deliveries, a third of their lease is the longest that passes without an
 * extension. One alarm serves all leases.
 *
 * @module
 */

import { createBatcher } from "../batch.ts";
import { HEARTBEAT_PART, MAX_BATCH, MAX_BATCH_BYTES } from "../defaults.ts";
import { HeartbeatLate, LeaseLost } from "../errors.ts";
import type { Extended, Extension } from "../exchange.ts";
import type { Run } from "./run.ts";
import { tellStale } from "./settle.ts";
import type { Bench, State } from "./state.ts";

/** Extensions of one lease that may be under way: those of a whole lease, so that a lost answer costs no lease. */
const MAX_UNANSWERED = 3;

/** Makes the batcher that a worker's extensions travel in. */
export function createExtensions({ transport, runtime, callTimeout }: Bench): State["extensions"] {
  return createBatcher<Extension, Extended>({
    runtime,
    send: (leases, left) => transport.extend(leases, { deadline: left }),
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

/** Begins the heartbeat; it ends with the worker's alarms. */
export function startHeartbeat(state: State): void {
  const { bench: { runtime, events } } = state;
  let last = runtime.monotonic();
  const schedule = (): void => {
    const { lease } = state.settings;
    state.alarms.set(lease * HEARTBEAT_PART, () => {
      const now = runtime.monotonic();
      if (now - last > lease && state.held.size > 0) {
        const error = new HeartbeatLate(Math.round(now - last), lease);
        events.emit("error", { error, during: "extending leases" });
      }
      last = now;
      for (const run of state.held) beat(state, run, lease);
      schedule();
    });
  };
  schedule();
}

function beat(state: State, run: Run, ms: number): void {
  // Or they would pile up while the transport does not answer.
  if (run.unanswered >= MAX_UNANSWERED) return;
  run.unanswered++;
  const { queue, token } = run.delivery;
  state.extensions.add({ queue, token, ms }, (answer) => {
    run.unanswered--;
    state.quiet.open();
    if (answer instanceof Error) {
      state.link.down(answer, true);
      return;
    }
    state.link.up(true);
    if (answer.state === "held") run.leaseEnd = state.bench.runtime.monotonic() + ms;
    // A settlement on its way may have ended the delivery already, and tells by itself whether it came too late.
    if (answer.state === "stale" && !run.settling && run.within === undefined) lose(state, run);
  });
}

/** The job is another worker's by now: its handler is told, and whatever it still returns is discarded. */
export function lose(state: State, run: Run): void {
  if (run.abandoned !== undefined || !state.held.delete(run)) return;
  run.abandoned = "lost";
  tellStale(state, run, "extend");
  if (!state.running.has(run)) state.buffer.remove(run);
  run.abort(new LeaseLost(run.delivery.id));
  state.room.open();
  state.quiet.open();
}
