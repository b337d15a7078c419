/**
 * The step that brings deliveries in: as many as there are free slots, and ahead of those as many as start soon.
 *
 * @module
 */

import { HEARTBEAT_PART, MAX_DELAY, MAX_UNSETTLED, POLL } from "../defaults.ts";
import { errorOf, TransportClosed } from "../errors.ts";
import type { Delivery } from "../jobs/exchange.ts";
import { hush, unlessAborted } from "../promises.ts";
import { partOut, tellAll } from "./apart.ts";
import { keepBound } from "./bind.ts";
import { buried, buriedAfresh, isReadable, setAside } from "./judge.ts";
import { tellHandlerless, tellUnknown } from "./ignored.ts";
import { hasten } from "./lease.ts";
import { allOrderly } from "./orderly.ts";
import { isRefusal } from "./passing.ts";
import { giveBack, inTime } from "./patience.ts";
import { pump } from "./perform.ts";
import { arrivalOf } from "./pulse.ts";
import { Run } from "./run.ts";
import { settle } from "./settle.ts";
import { subscribeFirst } from "./subscribe.ts";
import { isOfProcess, isQuiet, queuesOf, type State, together } from "./state.ts";
import { pauseOf } from "./trouble.ts";

/** Milliseconds at most in which jobs that came back are not asked for, while fresh ones are there without end. */
const FRESH_ONLY = 1_000;

/** Looks that one signal serves at most. */
const MAX_LOOKS = 100;

/** How much to fetch. */
interface Want {
  readonly limit: number;
  readonly slots: number;
  /** When this was found out, by the monotonic clock. */
  readonly at: number;
  /** The look before found nothing. */
  readonly dry: boolean;
}

/** The deliveries of a reserve. */
interface Catch {
  readonly deliveries: readonly Delivery[];
  /** When, by the monotonic clock. */
  readonly received: number;
  /** As many as were asked for: there may be more. */
  readonly full: boolean;
}

/** Fetches until the worker stops, or, for one that drains, until nothing is due. */
export async function fetchLoop(state: State): Promise<void> {
  const { runtime } = state.bench;
  /** The queue of the job that came last. */
  let served: string | undefined;
  let dry = false;
  let told = false;
  const known = new Set<string>();
  let ahead: Promise<Catch | undefined> | undefined;
  /** When jobs that came back were last asked for. */
  let slotted = -Infinity;
  for (;;) {
    // By the next macrotask runs that end at once have ended, so that one round trip settles it and brings as much
    // anew.
    await runtime.sleep(0);
    if (state.stopping) return takeIn(state, await ahead);
    const consumed = queuesOf(state);
    const queues = together(state);
    if (consumed.length === 0 && !told) {
      told = true;
      tellHandlerless(state);
    }
    const want = capacity(state, dry);
    if (ahead === undefined && (want.limit < 1 || queues.length === 0)) {
      if (state.drain !== undefined && isQuiet(state)) return tellFault(state);
      dry = false;
      await state.room.wait();
      continue;
    }
    // A wait for nothing would cost each look two turns of the microtask queue.
    const subscribing = subscribeFirst(state, queues);
    if (subscribing !== undefined) await subscribing;
    const binding = keepBound(state, consumed);
    if (binding !== undefined) await binding;
    if (state.stopping) return takeIn(state, await ahead);
    const wasQuiet = isQuiet(state);
    if (ahead === undefined && want.slots > 0) slotted = want.at;
    const found: Catch | undefined = await (ahead ?? reserve(state, behind(served, queues), want));
    ahead = undefined;
    if (found === undefined) continue;
    const { deliveries, received, full } = found;
    served = deliveries.at(-1)?.queue ?? served;
    if (full && received - slotted < Math.min(FRESH_ONLY, state.settings.lease * HEARTBEAT_PART)) {
      const limit = capacityAhead(state, deliveries.length);
      if (limit > 0) {
        ahead = reserve(state, behind(served, queues), { limit, slots: 0, at: received, dry: false });
        // It is awaited in a moment. First a client must send it, which may be a thing of the next macrotask.
        hush(ahead);
        await runtime.sleep(0);
      }
    }
    takeIn(state, found);
    dry = deliveries.length === 0;
    if (!dry || state.stopping) continue;
    tellUnknown(state, known);
    if (state.running.size === 0) state.bench.events.emit("idle", { queues: [...queues] });
    if (state.drain === undefined) continue;
    // A settlement answered during the reserve may have made a job due that the reserve did not see.
    if (!isQuiet(state)) await state.room.wait();
    else if (wasQuiet) return tellFault(state);
  }
}

/** A drain in which one queue did not work has done the rest, and rejects. */
function tellFault({ drain }: State): void {
  if (drain?.fault !== undefined) throw drain.fault.error;
}

function takeIn(state: State, found: Catch | undefined): void {
  if (found === undefined) return;
  const { deliveries, received } = found;
  // A returned job may only go into a free slot, so it goes before those that were fetched ahead.
  for (const delivery of deliveries) if (delivery.lost > 0) admit(state, delivery, received);
  for (const delivery of deliveries) if (delivery.lost === 0) admit(state, delivery, received);
  pump(state);
}

function capacity(state: State, dry: boolean): Want {
  const { settings, meter, bench: { runtime } } = state;
  const left = state.drain?.left ?? Number.MAX_SAFE_INTEGER;
  const at = runtime.monotonic();
  if (state.unsettled >= MAX_UNSETTLED) return { limit: 0, slots: 0, at, dry };
  const slots = Math.min(left, Math.max(0, settings.concurrency - state.running.size - state.buffer.size));
  const allowance = meter.allowance(at, settings.lease, settings.prefetch);
  // Fetching ahead in small bites would cost a round trip each; with nothing to be had it waits for a slot.
  const most = overlaps(state) ? allowance / 2 : allowance - state.buffer.size;
  const ahead = state.buffer.size > allowance / 2 || (slots === 0 && dry) ? 0 : Math.floor(most);
  const limit = Math.min(left, slots + Math.max(0, ahead), state.bench.transport.limits.bulk);
  return { limit, slots, at, dry };
}

/**
 * How many to ask for while so many that came are still to be handled: half of those that may be held, so that a server
 * looks for these while this process handles those.
 */
function capacityAhead(state: State, came: number): number {
  const { settings, meter, bench: { runtime, transport } } = state;
  if (!overlaps(state) || state.stopping || state.unsettled + came >= MAX_UNSETTLED) return 0;
  const free = Math.max(0, settings.concurrency - state.running.size);
  const allowance = meter.allowance(runtime.monotonic(), settings.lease, settings.prefetch);
  const limit = Math.floor(Math.min(allowance - Math.max(0, state.buffer.size + came - free), allowance / 2));
  return limit < Math.floor(allowance / 2) ? 0 : Math.min(limit, transport.limits.bulk);
}

/** Whether a server works while this process does. A drain counts its jobs, and takes them in turn. */
function overlaps({ drain, bench: { transport } }: State): boolean {
  return drain === undefined && transport.features.remote;
}

/**
 * The queues, from the one behind that which was served last: each has its turn before it comes again, and a store does
 * not walk through those that it found empty to come to the next that has jobs.
 */
function behind(served: string | undefined, queues: readonly string[]): readonly string[] {
  const first = served === undefined ? 0 : queues.indexOf(served) + 1;
  return first % queues.length === 0 ? queues : [...queues.slice(first), ...queues.slice(0, first)];
}

/**
 * How long a look may wait: for a moment, in which an idle worker is told as such, and after that no longer than a poll
 * where there may be more than the store tells of.
 */
function waitOf({ settings: { poll }, bench: { transport }, vital }: State, dry: boolean): number {
  // The first answer says that the worker has started, which must not wait for a job.
  if (poll !== undefined && vital?.known === false) return Math.min(poll, POLL);
  return poll ?? (dry && isOfProcess(transport) ? MAX_DELAY : POLL);
}

/**
 * The controller of the last look, where that was not ended by it: a new one costs a look a part of its time. Its signal
 * serves no more than some looks, as a transport may leave a listener behind with each.
 */
function fetcherOf({ fetcher }: State): AbortController {
  const { idle } = fetcher;
  fetcher.idle = undefined;
  if (idle !== undefined && !idle.signal.aborted && fetcher.looks++ < MAX_LOOKS) return idle;
  fetcher.looks = 0;
  return new AbortController();
}

/** Asks the transport; undefined when there was no answer to act upon. */
async function reserve(
  state: State,
  queues: readonly string[],
  want: Want,
): Promise<Catch | undefined> {
  const { runtime } = state.bench;
  const fetching = fetcherOf(state);
  state.fetching = fetching;
  const wait = state.drain !== undefined || want.slots === 0 ? 0 : waitOf(state, want.dry);
  state.vital?.looking(true);
  try {
    const deliveries = await ask(state, queues, want, wait, fetching.signal);
    const now = runtime.monotonic();
    const found = { deliveries, received: arrivalOf(state, now), full: deliveries.length >= want.limit };
    state.fetcher.idle = fetching;
    state.vital?.heard(found.deliveries[0]?.due, now);
    state.failures = 0;
    state.link.up("look", found.deliveries.length > 0);
    if (state.troubles.size > 0) { for (const queue of queues) state.troubles.up(queue, "reserve"); }
    return found;
  } catch (error) {
    if (fetching.signal.aborted) return undefined;
    if (error instanceof TransportClosed) throw error;
    // A broker that comes back may have lost its groups.
    state.bound.clear();
    const works = queues.length === 1
      ? "none"
      : await partOut(state, queues, (queue) => askAlone(state, queue));
    if (works === "some") return undefined;
    if (state.drain !== undefined) throw error;
    if (works === "none") tellAll(state, queues, error);
    // Refused for the first time, it may be for one of the queues: the next look finds that out.
    const isOpen = queues.length > 1 && state.failures < 2 && isRefusal(error);
    const pause = isOpen ? pauseOf(1, runtime.random) : state.link.down("look", error);
    // Cut short, the pause rejects: the call that cut it says how to go on.
    await runtime.sleep(pause, fetching.signal).catch(() => undefined);
    return undefined;
  } finally {
    state.vital?.looking(false);
    if (state.fetching === fetching) state.fetching = undefined;
  }
}

/** Asks the transport once the jobs that this process holds are in order. */
function ask(
  state: State,
  queues: readonly string[],
  want: Pick<Want, "limit" | "slots">,
  wait: number,
  signal: AbortSignal,
): Promise<readonly Delivery[]> {
  const { bench: { transport, users, callTimeout }, settings: { lease } } = state;
  // Jobs that this process holds must not be reclaimed by a reserve of its own that comes first after a block.
  const ready = (): Promise<void> | undefined => allOrderly(users);
  const order = ready();
  if (order !== undefined) {
    return unlessAborted(order, signal).then(() => ask(state, queues, want, wait, signal));
  }
  const { limit, slots } = want;
  const call = { limit, slots, lease, wait, deadline: callTimeout, signal, ready };
  return inTime(state, transport.reserve(queues, call), {
    action: "reserve jobs",
    wait,
    signal,
    late: (late) => giveBack(state, late),
  });
}

/** Finds out whether one queue works; a job that it brings waits for the next free slot. */
async function askAlone(state: State, queue: string): Promise<void> {
  const deliveries = await ask(state, [queue], { limit: 1, slots: 0 }, 0, state.ending.signal);
  takeIn(state, { deliveries, received: arrivalOf(state), full: false });
}

/** Takes a delivery in; never throws, whatever its entry contains. */
function admit(state: State, delivery: Delivery, received: number): void {
  const run = new Run(delivery, state.metaReader);
  run.leaseEnd = received + delivery.lease;
  hasten(state, delivery.lease);
  run.held = state.held.add(run);
  if (state.drain !== undefined) state.drain.left--;
  try {
    sort(state, run);
  } catch (error) {
    state.bench.events.emit("error", { error: errorOf(error), during: `taking in job '${delivery.id}'` });
    settle(state, run, buriedAfresh(state, run, error));
  }
}

/** Puts a run where it belongs: one that was lost too often is dead before another handler dies of it. */
function sort(state: State, run: Run): void {
  const { delivery } = run;
  if (delivery.lost > 0) {
    const { id, queue } = delivery;
    state.bench.events.emit("lost", { id, queue, lost: run.lost });
  }
  // Of a newer format's record it is not known how often it was lost.
  if (run.lost > state.settings.maxLost && isReadable(run.safeMeta)) {
    const error = new Error(`Lost ${run.lost} leases: its workers died or were cut off while they held it`);
    return settle(state, run, buried(state, run, "timeout", "lost", error, false));
  }
  if (isSuspect(state, run)) {
    // It must not wait here for a slot either: it would die of its neighbours' faults without having run.
    const full = state.running.size + state.buffer.size >= state.settings.concurrency;
    if (full || state.bench.suspects.size > 0) return settle(state, run, setAside(state, run));
    state.bench.suspects.add(run);
  }
  state.buffer.push(run);
}

/**
 * Whether one more lost lease is the job's death. Leases that are lost together come back together, so a job that kills
 * its workers would take with it whatever ran beside it each time: of such jobs one runs at a time.
 */
function isSuspect({ settings: { maxLost } }: State, run: Run): boolean {
  return maxLost > 0 && run.lost >= maxLost && run.isLegible && isReadable(run.meta);
}
