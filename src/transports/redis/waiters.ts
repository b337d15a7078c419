/**
 * Reserve calls that wait, and the ways in which they learn of jobs: notifications over the shard channels of their
 * queues, and, as a notification may be missed, a check from time to time that costs two commands for all queues
 * together.
 *
 * @module
 */

import { TransportClosed, type TransportError } from "../../errors.ts";
import type { Delivery, PushJob } from "../../jobs/exchange.ts";
import type { Runtime } from "../../runtime.ts";
import { cannotUse } from "../../store/faults.ts";
import type { Poll, Slept } from "../../store/poll.ts";
import { createWaiters, type Waiters } from "../../store/waiters.ts";
import { type Looks, REGISTERED } from "./waiters_poll.ts";
import { ConnectionLost, isAnswer, refusedBy } from "./errors.ts";
import { textOf } from "./client/driver.ts";
import type { Link, Listening, Reply } from "./client/link.ts";
import { createOrder } from "./reserve_order.ts";

/** The parts of the waiting. */
export interface WaitingOptions {
  readonly name: string;
  readonly runtime: Runtime;
  readonly link: Link;
  readonly looks: Looks;
  /** Milliseconds at most between two checks while a call waits. */
  readonly check: number;
  /** Gives deliveries back that no call waits for any more. */
  readonly giveBack: (deliveries: readonly Delivery[]) => Promise<void>;
}

/** Reserve calls, and how they are woken by this process. */
export interface Waiting extends Pick<Waiters, "reserve" | "notify" | "called"> {
  /**
   * The queues of these jobs for which a call of this process sleeps: once they are sent, it is woken by `called`, and
   * polls right behind them, without the way of a notification there and back.
   */
  awaited(jobs: readonly PushJob[]): ReadonlySet<string>;
  /** Ends all of them, and resolves when the deliveries that were still under way have been given back. */
  close(): Promise<void>;
}

/** The known state of a queue that is waited for. */
interface Station {
  readonly queue: string;
  readonly listening: Listening;
  /** As in `waiters_poll.ts`. */
  seen: string;
  /** When this client registered as waiting, by the monotonic clock; 0: never. */
  registered: number;
}

/** Milliseconds that commands may take that no call waits for, and the same at the end. */
const PATIENCE = 5_000;
const FAREWELL = 1_000;
/**
 * A server's clock may be set, a machine that sleeps stops ours, and a master may become a replica, which answers the
 * checks as before: every so many checks the clock is asked for.
 */
const CLOCK_CHECKS = 6;
/** Milliseconds after which a queue is polled again that a poll left with something to do, as that is done in pages. */
const BREATH = 25;

/** The waiting, and the queues that are waited for. */
interface State {
  readonly options: WaitingOptions;
  readonly stations: Map<string, Station>;
  /** Checks since the server's clock was seen. */
  unclocked: number;
}

/** Makes the waiting of a transport. */
export function createWaiting(options: WaitingOptions): Waiting {
  const { name, runtime, looks, check: every, giveBack } = options;
  const state: State = { options, stations: new Map(), unclocked: 0 };
  const order = createOrder({ poll: (asked) => poll(state, asked), giveBack });
  const waiters = createWaiters(runtime, {
    poll: (asked) => void order.poll(asked).catch((error) => asked.failed(error)),
    giveBack: order.giveBack,
    check: { every: () => every, run: (slept) => checkNow(state, waiters, slept()) },
    watch(queues) {
      for (const queue of queues) state.stations.set(queue, stationOf(state, waiters, queue));
    },
    leave: (queues, closing) => leave(state, queues, closing),
    // A notification that is not passed on is made up for by the checks of the others.
    pass: (queue) => void looks.pass(queue, { deadline: PATIENCE }).catch(() => undefined),
  });
  return {
    reserve: waiters.reserve,
    notify: waiters.notify,
    called: waiters.called,
    awaited(jobs) {
      const queues = new Set<string>();
      let last: string | undefined;
      for (const { queue, at, delay = 0 } of jobs) {
        if (queue === last || at !== undefined || delay > 0) continue;
        last = queue;
        if (waiters.isAwaited(queue)) queues.add(queue);
      }
      return queues;
    },
    close: () => waiters.close(new TransportClosed(name)),
  };
}

async function poll(state: State, { queues, options, waits, done }: Poll): Promise<void> {
  const { looks, runtime, giveBack } = state.options;
  const { limit, slots, lease, deadline } = options;
  // Not the caller's signal: the answer to a script that was sent is wanted in any case.
  const found = await looks.attempt(queues, { limit, slots, lease, deadline, register: waits });
  const { deliveries, quiet, now, fault } = found;
  if (fault !== undefined) {
    // Deliveries of other queues go back.
    if (deliveries.length > 0) await giveBack(deliveries);
    throw fault;
  }
  state.unclocked = 0;
  const registered = runtime.monotonic();
  const next = quiet.map(({ next, seen }, index) => {
    const station = state.stations.get(queues[index] ?? "");
    if (station !== undefined) Object.assign(station, { seen, registered });
    return next <= now ? now + BREATH : next;
  });
  done({ deliveries, now, next: deliveries.length > 0 ? undefined : next });
}

function stationOf({ options }: State, waiters: Waiters, queue: string): Station {
  const { name, link, looks } = options;
  const listening = link.listen(looks.bell(queue), {
    heard: (message) => message === "" ? waiters.notify([queue]) : waiters.called([queue]),
    lost: () => waiters.fail(queue, unavailable(name)),
  });
  // A poll that may have come to the server before the channel could be heard has to be repeated.
  void listening.known.then((heard) => {
    if (heard && (!link.ordered || waiters.isEmpty(queue))) waiters.notify([queue]);
  });
  return { queue, listening, seen: "0-0", registered: 0 };
}

async function checkNow(state: State, waiters: Waiters, { queues, deadline: left }: Slept): Promise<void> {
  const { link, looks, runtime } = state.options;
  const deadline = Math.min(PATIENCE, left);
  const [first] = queues;
  if (first !== undefined && ++state.unclocked >= CLOCK_CHECKS) {
    waiters.tell(await looks.clock(first, { deadline }));
    state.unclocked = 0;
  }
  const watched = queues.flatMap((queue) => state.stations.get(queue) ?? []);
  for (const { queue, next, fresh } of await check(link, looks, watched, deadline)) {
    waiters.expect(queue, next);
    if (fresh) waiters.notify([queue]);
  }
  const now = runtime.monotonic();
  const old = watched.filter(({ registered }) => registered < now - REGISTERED / 2);
  if (old.length === 0) return;
  for (const station of old) station.registered = now;
  await looks.renew(old.map(({ queue }) => queue), { deadline: PATIENCE });
}

async function leave(
  { options, stations }: State,
  queues: readonly string[],
  closing: boolean,
): Promise<void> {
  const left = queues.flatMap((queue) => stations.get(queue) ?? []);
  for (const { queue, listening } of left) {
    stations.delete(queue);
    listening.leave();
  }
  const registered = left.filter((station) => station.registered > 0).map(({ queue }) => queue);
  if (registered.length === 0 || !options.link.reachable) return;
  // A registration that stays runs out by itself.
  await options.looks.unregister(registered, { deadline: closing ? FAREWELL : PATIENCE }).catch(() =>
    undefined
  );
}

function unavailable(name: string, cause?: unknown): TransportError {
  return cannotUse(name, "TRANSPORT_UNAVAILABLE", "its connection was lost", cause);
}

/** A reserve that was not answered has no outcome that a caller must know: it failed, and its jobs come back. */
export function typed(name: string, error: unknown): unknown {
  if (isAnswer(error)) return refusedBy(name, error);
  if (!(error instanceof ConnectionLost)) return error;
  if (error.cause instanceof TransportClosed) return error.cause;
  return unavailable(name, error);
}

/** The state of a queue, as a check found it. */
interface Sight {
  readonly queue: string;
  /** As in `waiters_poll.ts`. */
  readonly next: number;
  /** Whether there are entries that were not seen. */
  readonly fresh: boolean;
}

/**
 * The state of each queue, within `deadline` milliseconds: makes up for notifications that were missed or never sent, as
 * of raw entries, and of leases of others that end. Plain commands, one of each kind for all queues of a server.
 */
async function check(
  link: Link,
  looks: Looks,
  watched: readonly Pick<Station, "queue" | "seen">[],
  deadline: number,
): Promise<readonly Sight[]> {
  if (watched.length === 0) return [];
  if (link.clustered && watched.length > 1) {
    return (await Promise.all(watched.map((each) => check(link, looks, [each], deadline)))).flat();
  }
  const nexts = watched.map(({ queue }) => looks.next(queue));
  const streams = watched.map(({ queue }) => looks.waiting(queue));
  const [next = "", stream = ""] = [nexts[0], streams[0]];
  const ids = watched.map(({ seen }) => seen);
  const [times, fresh] = await Promise.all([
    link.command(next, ["MGET", ...nexts], { deadline }),
    link.command(stream, ["XREAD", "COUNT", "1", "STREAMS", ...streams, ...ids], { deadline }),
  ]);
  const names = namesOf(fresh);
  return watched.map(({ queue }, n) => ({
    queue,
    next: timeOf(listOf(times)[n]),
    fresh: names.has(streams[n] ?? ""),
  }));
}

function listOf(reply: Reply): readonly Reply[] {
  return Array.isArray(reply) ? reply : [];
}

/**
 * The streams in an answer of XREAD: a map of them, or a list of pairs where the connection speaks the older protocol.
 */
function namesOf(reply: Reply): ReadonlySet<string> {
  const names = new Set<string>();
  for (const part of listOf(reply)) {
    if (part instanceof Uint8Array) names.add(textOf(part));
    else if (Array.isArray(part) && part[0] instanceof Uint8Array) names.add(textOf(part[0]));
  }
  return names;
}

function timeOf(reply: Reply | undefined): number {
  if (!(reply instanceof Uint8Array)) return Infinity;
  const time = Number(textOf(reply));
  return Number.isFinite(time) ? time : Infinity;
}
