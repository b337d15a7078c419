/**
 * Those who wait for jobs, and the stands at the server that wait for them: one for each line of a queue, shared by all
 * who wait for it, so that waiting costs two messages in two minutes. A stand stays until its time is over, even when
 * nobody waits any more: a server of 2.9 miscounts the deliveries of a message that it has for a stand that was left.
 *
 * @module
 */

import { type Alarm, createAlarms } from "../../alarms.ts";
import { hush } from "../../promises.ts";
import type { Runtime } from "../../runtime.ts";
import type { Bench, Crowd, Waiter } from "./bench.ts";
import { briefly } from "./brief.ts";
import type { Line } from "./names.ts";
import type { Place } from "./place.ts";
import type { Arrival } from "./arrival.ts";
import type { Stand } from "./pulls.ts";
import { giveBack, takeBack } from "./ripen.ts";

/** What is known of one queue. */
interface Post {
  readonly place: Place;
  readonly stands: Map<Line, Stand>;
  readonly waiters: Set<Waiter>;
  /** Those who know that something is on its way. */
  readonly hopes: Set<() => void>;
  /** What is given back, taken back or found to be due at this moment. */
  readonly moving: Set<Promise<void>>;
  spare: Arrival[];
  /** Delayed jobs that arrived in this moment. */
  unripe: Arrival[];
  alarm: Alarm | undefined;
}

/** Milliseconds for which a job waits here for somebody who asks for it. */
const LINGER = 250;
/** Delayed jobs that a stand takes before it is made anew. */
const DELAYED = 256;
/** Milliseconds that a move of our own may take. */
const MOVE = 10_000;

/** Makes an empty crowd. */
export function createCrowd(runtime: Runtime, bench: () => Bench): Crowd {
  const alarms = createAlarms(runtime);
  const posts = new Map<Place, Post>();
  let closed = false;

  function postOf(place: Place): Post {
    let post = posts.get(place);
    if (post === undefined) {
      post = {
        place,
        stands: new Map(),
        waiters: new Set(),
        hopes: new Set(),
        spare: [],
        moving: new Set(),
        unripe: [],
        alarm: undefined,
      };
      posts.set(place, post);
    }
    return post;
  }

  function stand(post: Post, line: Line): void {
    if (closed || post.stands.has(line) || !bench().link.up) return;
    let rest = line === "d" ? DELAYED : 1;
    const made: Stand = bench().pulls.stand(post.place, line, rest, {
      arrived: (arrival) => {
        rest--;
        crowd.stray(arrival);
      },
      over: (gone) => {
        if (post.stands.get(line) === made) post.stands.delete(line);
        hush(made.end(false));
        // To stand again at once where nothing is would be a storm: who waits is told, and asks again in its time.
        if (gone !== undefined) { for (const waiter of [...post.waiters]) waiter.failed(gone); }
        // Behind a full page of delayed jobs there are likely to be more.
        if (post.waiters.size > 0 || (line === "d" && rest === 0)) stand(post, line);
      },
    });
    post.stands.set(line, made);
  }

  /** Gives back what came for nobody, unless somebody asks for it in a moment. */
  function linger(post: Post): void {
    if (closed || post.alarm !== undefined) return;
    post.alarm = alarms.set(LINGER, () => {
      post.alarm = undefined;
      const late = runtime.monotonic() - LINGER;
      const old = bench().link.up ? post.spare.filter(({ at }) => at <= late) : [];
      if (old.length > 0) {
        post.spare = post.spare.filter((arrival) => !old.includes(arrival));
        work(post, giveBack(bench(), old, runtime.monotonic() + MOVE));
      }
      if (post.spare.length > 0) linger(post);
    });
  }

  /** Gives back what nobody can ask for any more. */
  function leave(post: Post, arrivals: readonly Arrival[]): void {
    const { link, calendar } = bench();
    if (!link.up) return;
    calendar.take(arrivals.filter(({ line }) => line === "d"));
    const rest = arrivals.filter(({ line }) => line !== "d");
    const until = runtime.monotonic() + LINGER;
    work(post, giveBack(bench(), rest.filter(({ again }) => !again), until));
    work(post, takeBack(bench(), rest.filter(({ again }) => again), until));
  }

  /** What fails here comes again by itself, when the server's lease is over. */
  function work({ moving }: Post, move: Promise<void>): void {
    moving.add(move);
    hush(move.catch(() => undefined).then(() => moving.delete(move)));
  }

  function wake(post: Post, arrival: Arrival): void {
    for (const waiter of post.waiters) {
      if (arrival.line === "b" && waiter.slots === 0) continue;
      crowd.leave(waiter);
      return waiter.got(arrival);
    }
    post.spare.push(arrival);
    for (const hope of [...post.hopes]) hope();
    linger(post);
  }

  function unripe(post: Post, arrival: Arrival): void {
    post.unripe.push(arrival);
    if (post.unripe.length > 1) return;
    work(
      post,
      runtime.sleep(0).then(() => {
        const arrivals = post.unripe;
        post.unripe = [];
        bench().calendar.take(arrivals);
      }),
    );
  }

  const crowd: Crowd = {
    alarms,
    stands: (place, line) => posts.get(place)?.stands.has(line) ?? false,
    keep(place, lines) {
      const post = postOf(place);
      for (const line of lines) stand(post, line);
      bench().calendar.wake(place);
    },
    join(waiter) {
      for (const place of waiter.places) postOf(place).waiters.add(waiter);
    },
    leave(waiter) {
      for (const place of waiter.places) postOf(place).waiters.delete(waiter);
    },
    spare(place, limit, slots) {
      const post = posts.get(place);
      if (post === undefined || post.spare.length === 0) return [];
      const taken: Arrival[] = [];
      let back = slots;
      post.spare = post.spare.filter((arrival) => {
        if (taken.length >= limit || (arrival.line === "b" && back <= 0)) return true;
        if (arrival.line === "b") back--;
        taken.push(arrival);
        return false;
      });
      return taken;
    },
    hope(place, ms) {
      const post = postOf(place);
      if (closed || post.spare.length > 0) return Promise.resolve();
      return new Promise((resolve) => {
        const hope = (): void => {
          post.hopes.delete(hope);
          alarm.cancel();
          resolve();
        };
        const alarm = alarms.set(ms, hope);
        post.hopes.add(hope);
      });
    },
    moving(place) {
      const { moving } = postOf(place);
      return moving.size === 0 ? undefined : Promise.allSettled(moving);
    },
    stray(arrival) {
      const post = postOf(arrival.place);
      if (closed) return leave(post, [arrival]);
      if (arrival.line === "d") return unripe(post, arrival);
      if (arrival.again) return work(post, takeBack(bench(), [arrival], runtime.monotonic() + MOVE));
      // It lay in the socket for long: it goes back, unless it is another's by now, and comes with a lease that is whole.
      if (runtime.monotonic() > arrival.at + arrival.place.ackWait / 2) {
        return work(post, giveBack(bench(), [arrival], runtime.monotonic() + MOVE));
      }
      wake(post, arrival);
    },
    moved(stream, consumer) {
      for (const post of posts.values()) {
        if (post.place.stream !== stream) continue;
        for (const [line, made] of [...post.stands]) {
          if (post.place.consumers[line] !== consumer) continue;
          post.stands.delete(line);
          hush(made.end(false));
          if (post.waiters.size > 0) stand(post, line);
        }
      }
    },
    reset() {
      for (const post of posts.values()) {
        for (const made of post.stands.values()) hush(made.end(false));
        post.stands.clear();
      }
    },
    async close() {
      closed = true;
      alarms.clear();
      const ends: Promise<void>[] = [];
      for (const post of posts.values()) {
        for (const hope of [...post.hopes]) hope();
        // What is on its way to a stand comes before that has ended.
        for (const made of post.stands.values()) ends.push(made.end(true));
        post.stands.clear();
        post.waiters.clear();
        leave(post, post.spare);
        post.spare = [];
      }
      await briefly(runtime, LINGER, Promise.all(ends));
      const moving = [...posts.values()].flatMap((post) => [...post.moving]);
      await briefly(runtime, LINGER, Promise.all(moving));
    },
  };
  return crowd;
}
