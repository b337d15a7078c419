/**
 * A post for each queue at which somebody waits: what is known of the queue, and who sleeps there until something may
 * have changed. Posts outlive the single reserve, so that a worker that asks every second costs nothing while nothing
 * changes.
 *
 * @module
 */

import { type Alarm, createAlarms } from "../../alarms.ts";
import { TransportError } from "../../errors.ts";
import type { Runtime } from "../../runtime.ts";
import { type Attempt, type Looks, REGISTERED } from "./attempt.ts";
import { createChecks } from "./checks.ts";
import type { Link, Listening } from "./link.ts";

/** What is known of a queue. */
export interface Post {
  readonly queue: string;
  readonly listening: Listening;
  /** What was found empty since something may have come: 0 nothing, 1 fresh jobs, 2 those that came back too. */
  quiet: 0 | 1 | 2;
  /** As in `attempt.ts`, by the server's clock. */
  next: number;
  seen: string;
  /** When this client registered as waiting, by the monotonic clock. */
  registered: number;
  /** Somebody was rung for here, and nobody has looked since. */
  rung: boolean;
  /** Bells and the like since ever, so that a look knows what came during it. */
  changes: number;
  /** Reserves that are here, and looks under way. */
  visitors: number;
  looks: number;
  /** When the last visitor left, by the monotonic clock. */
  left: number;
}

/** A reserve that sleeps. */
export interface Sleeper {
  readonly posts: readonly Post[];
  readonly level: 1 | 2;
  /** When its time is up, by the monotonic clock. */
  readonly until: number;
  /** Milliseconds that a call may take for whoever sleeps. */
  readonly deadline: number;
  /** True: look again. False: its time is up. */
  resolve(again: boolean): void;
  reject(error: unknown): void;
}

/** All posts of a transport. */
export interface Posts {
  enter(queues: readonly string[]): readonly Post[];
  leave(posts: readonly Post[]): void;
  /** A look begins; what it answers is to be told when it ends, undefined when it failed. */
  begin(posts: readonly Post[], level: 1 | 2): (found: Attempt | undefined) => void;
  sleep(sleeper: Sleeper): void;
  /**
   * A job is about to be sent to this queue: whoever sleeps there looks at once, right behind the job and without the
   * bell's way there and back. False where nobody sleeps.
   */
  foretell(queue: string): boolean;
  /** There may be jobs at a queue of which no notification comes. */
  stir(queue: string): void;
  /** Wakes a sleeper whose visit is over. */
  rouse(sleeper: Sleeper): void;
  close(): Promise<void>;
}

/** What posts are made of. */
export interface PostsOptions {
  readonly name: string;
  readonly runtime: Runtime;
  readonly link: Link;
  readonly looks: Looks;
  readonly check: number;
}

/** Milliseconds for which a post that nobody visits stays manned. */
const LINGER = 2_000;
/** Milliseconds that the commands of a post may take that nobody waits for. */
const PATIENCE = 5_000;
/** The same at the end. */
const FAREWELL = 1_000;
/**
 * A server's clock may be set, a machine that sleeps stops ours, and a master may become a replica, which answers the
 * checks as before: every so many checks the clock is asked for.
 */
const CLOCK_CHECKS = 6;
/** Milliseconds at least between a look and the next for the sake of a time. */
const BREATH = 25;

/** Makes the posts of a transport. */
export function createPosts({ name, runtime, link, looks, check }: PostsOptions): Posts {
  const alarms = createAlarms(runtime);
  const posts = new Map<string, Post>();
  const sleepers = new Set<Sleeper>();
  /** The server's clock less the monotonic one here. */
  let offset = 0;
  let checked = runtime.monotonic();
  let checking = false;
  /** Checks since the server's clock was seen. */
  let unclocked = 0;
  let lingering = false;
  let alarm: Alarm | undefined;
  let closed = false;

  const checks = createChecks({ link, looks });

  function man(queue: string): Post {
    const post: Post = {
      queue,
      listening: link.listen(looks.bell(queue), {
        heard: (message) => ring(post, message !== ""),
        lost: () => lose(post),
      }),
      quiet: 0,
      next: Infinity,
      seen: "0-0",
      registered: 0,
      rung: false,
      changes: 0,
      visitors: 0,
      looks: 0,
      left: 0,
    };
    posts.set(queue, post);
    // A look that may have come to the server before the bell could be heard has to be repeated.
    void post.listening.known.then((heard) => {
      if (heard && (!link.ordered || post.quiet > 0)) ring(post, false);
    });
    return post;
  }

  function ring(post: Post, called: boolean): void {
    post.changes++;
    post.quiet = 0;
    post.rung ||= called;
    heed(post);
  }

  /** Sees to it that somebody looks after a post at which something may have changed. */
  function heed(post: Post): void {
    if (post.quiet === 2 || post.looks > 0 || closed) return;
    for (const sleeper of sleepers) {
      if (sleeper.level <= post.quiet || !sleeper.posts.includes(post)) continue;
      return wake(sleeper);
    }
    if (!post.rung || post.visitors > 0) return;
    post.rung = false;
    // Who rang counts on somebody who looks. A bell that is not passed on is made up for by the looks of the others.
    looks.pass(post.queue, { deadline: PATIENCE }).catch(() => undefined);
  }

  function wake(sleeper: Sleeper): void {
    sleepers.delete(sleeper);
    sleeper.resolve(true);
  }

  function lose(post: Post): void {
    const error = new TransportError(
      "TRANSPORT_UNAVAILABLE",
      `Cannot use ${name} as its connection was lost`,
    );
    post.changes++;
    post.quiet = 0;
    for (const sleeper of [...sleepers]) {
      if (!sleeper.posts.includes(post)) continue;
      sleepers.delete(sleeper);
      sleeper.reject(error);
    }
  }

  function arm(): void {
    alarm?.cancel();
    alarm = undefined;
    if (closed) return;
    const now = runtime.monotonic();
    let earliest = Infinity;
    for (const sleeper of sleepers) {
      earliest = Math.min(earliest, sleeper.until);
      for (const post of sleeper.posts) {
        earliest = Math.min(earliest, Math.max(now + BREATH, post.next - offset));
      }
    }
    if (earliest < Infinity && !checking) earliest = Math.min(earliest, checked + check);
    if (earliest < Infinity) alarm = alarms.set(Math.max(1, earliest - now), tick);
  }

  function tick(): void {
    const now = runtime.monotonic();
    for (const sleeper of [...sleepers]) {
      if (sleeper.until > now) continue;
      sleepers.delete(sleeper);
      sleeper.resolve(false);
    }
    for (const post of mannedPosts()) {
      if (post.next - offset > now) continue;
      post.next = Infinity;
      ring(post, false);
    }
    if (!checking && sleepers.size > 0 && now >= checked + check) void checkNow();
    arm();
  }

  function mannedPosts(): ReadonlySet<Post> {
    return new Set([...sleepers].flatMap((sleeper) => sleeper.posts));
  }

  async function checkNow(): Promise<void> {
    checking = true;
    const manned = [...mannedPosts()];
    const before = manned.map(({ changes }) => changes);
    const deadline = Math.min(PATIENCE, ...[...sleepers].map((sleeper) => sleeper.deadline));
    try {
      const [first] = manned;
      if (first !== undefined && ++unclocked >= CLOCK_CHECKS) {
        offset = await looks.clock(first.queue, { deadline }) - runtime.monotonic();
        unclocked = 0;
      }
      const seen = await checks.look(manned, deadline);
      for (const [n, post] of manned.entries()) {
        const { next = Infinity, fresh = false } = seen[n] ?? {};
        if (post.changes !== before[n] || post.looks > 0) continue;
        post.next = next;
        if (fresh) ring(post, false);
      }
      const now = runtime.monotonic();
      const old = manned.filter(({ registered }) => registered < now - REGISTERED / 2);
      if (old.length > 0) {
        for (const post of old) post.registered = now;
        await looks.renew(old.map(({ queue }) => queue), { deadline: PATIENCE });
      }
    } catch (error) {
      // Whoever sleeps here next must not be told that nothing came as long as nobody can know.
      for (const post of manned) {
        post.changes++;
        post.quiet = 0;
      }
      for (const sleeper of [...sleepers]) {
        if (!sleeper.posts.some((post) => manned.includes(post))) continue;
        sleepers.delete(sleeper);
        sleeper.reject(error);
      }
    } finally {
      checking = false;
      checked = runtime.monotonic();
      arm();
    }
  }

  function linger(): void {
    if (lingering || closed || [...posts.values()].every(({ visitors }) => visitors > 0)) return;
    lingering = true;
    alarms.set(LINGER, () => {
      lingering = false;
      const since = runtime.monotonic() - LINGER / 2;
      void retire(
        [...posts.values()].filter(({ visitors, left }) => visitors === 0 && left < since),
        PATIENCE,
      );
      linger();
    });
  }

  /** Leaves the posts at which nobody was for a while. */
  async function retire(deserted: readonly Post[], deadline: number): Promise<void> {
    for (const post of deserted) {
      posts.delete(post.queue);
      post.listening.leave();
    }
    const registered = deserted.filter((post) => post.registered > 0);
    if (registered.length === 0 || !link.reachable) return;
    // A registration that stays runs out by itself.
    await looks.unregister(registered.map(({ queue }) => queue), { deadline }).catch(() => undefined);
  }

  return {
    enter(queues) {
      const entered = queues.map((queue) => posts.get(queue) ?? man(queue));
      for (const post of entered) post.visitors++;
      return entered;
    },
    leave(left) {
      const now = runtime.monotonic();
      for (const post of left) {
        post.visitors--;
        post.left = now;
      }
      for (const post of left) heed(post);
      linger();
    },
    begin(visited, level) {
      const before = visited.map((post) => {
        post.looks++;
        if (level === 2) post.rung = false;
        return post.changes;
      });
      return (found) => {
        const now = runtime.monotonic();
        if (found !== undefined) {
          offset = found.now - now;
          unclocked = 0;
        }
        for (const [n, post] of visited.entries()) {
          post.looks--;
          const quiet = found?.quiet[n];
          if (quiet !== undefined && found !== undefined) {
            post.registered = now;
            post.next = quiet.next <= found.now ? found.now + BREATH : quiet.next;
            post.seen = quiet.seen;
            if (post.changes === before[n]) post.quiet = level;
          }
        }
        for (const { queue, lease } of found?.deliveries ?? []) {
          const post = posts.get(queue);
          if (post !== undefined && found !== undefined) post.next = Math.min(post.next, found.now + lease);
        }
        for (const post of visited) heed(post);
        arm();
      };
    },
    sleep(sleeper) {
      sleepers.add(sleeper);
      arm();
    },
    foretell(queue) {
      const post = posts.get(queue);
      if (post === undefined || closed) return false;
      if (![...sleepers].some(({ level, posts: held }) => level === 2 && held.includes(post))) return false;
      ring(post, true);
      return true;
    },
    stir(queue) {
      const post = posts.get(queue);
      if (post !== undefined && !closed) ring(post, false);
    },
    rouse(sleeper) {
      if (sleepers.has(sleeper)) wake(sleeper);
    },
    async close() {
      closed = true;
      alarms.clear();
      await retire([...posts.values()], FAREWELL);
    },
  };
}
