/**
 * Reserves that wait: for a bell, for the next due time or lease end, and, as any of these may be missed, for a look
 * every now and then that costs two commands for all queues together.
 *
 * @module
 */

import { TransportClosed, TransportError } from "../../errors.ts";
import type { Delivery, PushJob, ReserveOptions } from "../../exchange.ts";
import type { Runtime } from "../../runtime.ts";
import type { Attempt, Looks } from "./attempt.ts";
import { ConnectionLost, isAnswer, refusedBy } from "./errors.ts";
import type { Link } from "./link.ts";
import { createPosts, type Post, type Sleeper } from "./posts.ts";

/** What the waiting is made of. */
export interface WaitingOptions {
  readonly name: string;
  readonly runtime: Runtime;
  readonly link: Link;
  readonly looks: Looks;
  /** Milliseconds at most between two looks while somebody waits. */
  readonly check: number;
  /** Gives deliveries back that nobody waits for any more. */
  readonly giveBack: (deliveries: readonly Delivery[]) => Promise<void>;
}

/** Reserves, with and without waiting. */
export interface Waiting {
  reserve(queues: readonly string[], options: ReserveOptions): Promise<readonly Delivery[]>;
  /** Wakes whoever sleeps where these jobs are about to go; answers the queues where somebody did. */
  foretell(jobs: readonly PushJob[]): ReadonlySet<string>;
  /** There may be jobs at a queue of which no notification comes. */
  stir(queue: string): void;
  /** Ends all of them, and resolves when what was still under way has been given back. */
  close(): Promise<void>;
}

/** Milliseconds for which the end waits for answers that bring jobs, so that they can be given back. */
const FAREWELL = 1_000;

/** Why a sleep ends early. Nobody sees it. */
const SAID = "said";

/** One reserve while it lasts. */
interface Visit {
  /** Nobody waits for its answer any more. */
  readonly over: boolean;
  whenOver(then: () => void): void;
}

/** Makes the waiting of a transport. */
export function createWaiting(options: WaitingOptions): Waiting {
  const { name, runtime, looks, giveBack } = options;
  const posts = createPosts(options);
  /** Reserves under way, and what gives back what they brought too late. */
  const pending = new Set<Promise<void>>();
  const visits = new Set<(error: unknown) => void>();
  let closed = false;

  /** One look. Where a queue cannot be used, what was taken of the others goes back, and it is told. */
  async function look(
    queues: readonly string[],
    { limit, slots, lease, deadline }: ReserveOptions,
    register: boolean,
  ): Promise<Attempt> {
    // Not the caller's signal: the answer to what was sent is wanted in any case.
    const found = await looks.attempt(queues, { limit, slots, lease, deadline, register });
    if (found.fault === undefined) return found;
    if (found.deliveries.length > 0) await giveBack(found.deliveries);
    throw found.fault;
  }

  async function wait(
    visit: Visit,
    queues: readonly string[],
    options: ReserveOptions,
  ): Promise<Attempt["deliveries"]> {
    const until = runtime.monotonic() + options.wait;
    const level = options.slots > 0 ? 2 : 1;
    const held = posts.enter(queues);
    visit.whenOver(() => posts.leave(held));
    while (!visit.over) {
      if (held.some(({ quiet }) => quiet < level)) {
        for (let order = options.ready?.(); order !== undefined; order = options.ready?.()) await order;
        if (visit.over) break;
        const deliveries = await attempt(held, options, level);
        if (deliveries.length > 0) return deliveries;
        if (held.some(({ quiet }) => quiet < level)) continue;
      }
      if (!await sleep(visit, held, level, until, options.deadline)) break;
    }
    return [];
  }

  async function attempt(
    held: readonly Post[],
    options: ReserveOptions,
    level: 1 | 2,
  ): Promise<Attempt["deliveries"]> {
    const done = posts.begin(held, level);
    try {
      const found = await look(held.map(({ queue }) => queue), options, true);
      done(found);
      return found.deliveries;
    } catch (error) {
      done(undefined);
      throw error;
    }
  }

  /** False when the time is up. */
  function sleep(
    visit: Visit,
    held: readonly Post[],
    level: 1 | 2,
    until: number,
    deadline: number,
  ): Promise<boolean> {
    // A reserve that was aborted during its look would sleep on, and be woken in the place of one that waits.
    if (visit.over || until <= runtime.monotonic()) return Promise.resolve(false);
    return new Promise((resolve, reject) => {
      const sleeper: Sleeper = { posts: held, level, until, deadline, resolve, reject };
      posts.sleep(sleeper);
      visit.whenOver(() => posts.rouse(sleeper));
    });
  }

  return {
    reserve(queues, options) {
      const { signal } = options;
      if (closed) return Promise.reject(new TransportClosed(name));
      if (signal?.aborted) return Promise.reject(signal.reason);
      return new Promise((resolve, reject) => {
        const followers: (() => void)[] = [];
        let over = false;
        const visit: Visit = {
          get over() {
            return over;
          },
          whenOver(then) {
            if (over) then();
            else followers.push(then);
          },
        };
        const end = (then: () => void): void => {
          if (over) return;
          over = true;
          visits.delete(fail);
          signal?.removeEventListener("abort", abort);
          then();
          for (const follower of followers) follower();
        };
        const fail = (error: unknown): void => end(() => reject(error));
        const abort = (): void => fail(signal?.reason);
        signal?.addEventListener("abort", abort, { once: true });
        visits.add(fail);
        const work = options.wait > 0
          ? wait(visit, queues, options)
          : look(queues, options, false).then(({ deliveries }) => deliveries);
        const settled = work.then(
          async (deliveries) => {
            // Nobody waits any more, perhaps since the very moment at which the answer came.
            if (over && deliveries.length > 0) await giveBack(deliveries);
            else end(() => resolve(deliveries));
          },
          (error) => fail(typed(name, error)),
        );
        pending.add(settled);
        void settled.finally(() => pending.delete(settled));
      });
    },
    foretell(jobs) {
      const woken = new Set<string>();
      const asked = new Set<string>();
      for (const { queue, at, delay = 0 } of jobs) {
        if (at !== undefined || delay > 0 || asked.has(queue)) continue;
        asked.add(queue);
        if (posts.foretell(queue)) woken.add(queue);
      }
      return woken;
    },
    stir: (queue) => posts.stir(queue),
    async close() {
      closed = true;
      for (const fail of [...visits]) fail(new TransportClosed(name));
      const farewell = new AbortController();
      await Promise.race([
        Promise.all(pending),
        runtime.sleep(FAREWELL, farewell.signal).catch(() => undefined),
      ]);
      farewell.abort(SAID);
      await posts.close();
    },
  };
}

/** A reserve that was not answered has no outcome that a caller must know: it failed, and what it took comes back. */
export function typed(name: string, error: unknown): unknown {
  if (isAnswer(error)) return refusedBy(name, error);
  if (!(error instanceof ConnectionLost)) return error;
  if (error.cause instanceof TransportClosed) return error.cause;
  return new TransportError("TRANSPORT_UNAVAILABLE", `Cannot use ${name} as its connection was lost`, {
    cause: error,
  });
}
