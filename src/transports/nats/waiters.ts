/**
 * Reserve calls that wait, and the pull requests that serve them: one open pull for each state of a queue, shared by
 * all calls that wait for it, so that waiting costs two messages in two minutes. An open pull stays until its time is
 * over, though no call waits any more: a job that comes to it is given to the next call, or goes back. Those of a call
 * that was ended from outside are ended with it, as no other may follow.
 *
 * They are not those of `src/store/`, which poll a queue when a notification names it: here the job itself comes, its
 * lease running, and a pull must be open at the server before a call sleeps.
 *
 * @module
 */

import { type Alarm, type Alarms, createAlarms } from "../../flow/alarms.ts";
import { briefly } from "../../flow/deadline.ts";
import { hush } from "../../promises.ts";
import type { Runtime } from "../../runtime.ts";
import type { Context, OpenPull, Waiter, Waiters } from "./stream/context.ts";
import { giveBack, leaveThere, takeBack } from "./reserve_returned.ts";
import type { QueueStream } from "./stream/queue_stream.ts";
import { inTurn, isWorthHanding, type Received } from "./stream/received.ts";
import type { PullState } from "./stream/subjects.ts";

/** The waiters and the open pulls of one queue. */
interface Post {
  readonly queueStream: QueueStream;
  readonly pulls: Map<PullState, OpenPull>;
  /** Pulls that a call took along with it when it ended; a job may be on its way to them. */
  readonly ending: Set<OpenPull>;
  readonly waiters: Set<Waiter>;
  /** Calls that know that something is on its way. */
  readonly expecting: Set<() => void>;
  /** Moves under way, of jobs that are given back or taken back, and how many there were. */
  readonly moving: Set<Promise<unknown>>;
  moves: number;
  spare: Received[];
  alarm: Alarm | undefined;
}

/** The parts that waiters share. */
interface Store {
  readonly runtime: Runtime;
  readonly context: () => Context;
  readonly alarms: Alarms;
  readonly posts: Map<QueueStream, Post>;
  /** The one of the last call that waited: a pull outlives the call that it was opened for. */
  ready: Waiter["ready"];
  closed: boolean;
}

/** Milliseconds for which a job waits in this process for a call that asks for it. */
const LINGER = 250;
/** Milliseconds that a move of our own may take. */
const MOVE = 10_000;
/** Makes waiters; no call waits yet. */
export function createWaiters(runtime: Runtime, context: () => Context): Waiters {
  const alarms = createAlarms(runtime);
  const store: Store = { runtime, context, alarms, posts: new Map(), ready: undefined, closed: false };
  const { posts } = store;
  return {
    alarms,
    isOpen: (queueStream, state) => posts.get(queueStream)?.pulls.has(state) ?? false,
    isIdle: (queueStream, slots) => isIdle(posts.get(queueStream), slots),
    open(queueStream, states) {
      const post = postOf(store, queueStream);
      for (const state of states) open(store, post, state);
    },
    join(waiter) {
      store.ready = waiter.ready ?? store.ready;
      const posts = waiter.queueStreams.map((queueStream) => postOf(store, queueStream));
      for (const post of posts) post.waiters.add(waiter);
      for (const post of posts) if (post.waiters.has(waiter)) serve(store, post);
      return posts.every((post) => post.waiters.has(waiter));
    },
    leave: (waiter) => leave(store, waiter),
    rest(queueStreams) {
      for (const queueStream of queueStreams) {
        const post = posts.get(queueStream);
        if (post?.waiters.size === 0) endPulls(post);
      }
    },
    spare: (queueStream, limit, slots) => spareOf(posts.get(queueStream), limit, slots),
    comes: (queueStream, ms) => comes(store, postOf(store, queueStream), ms),
    moving(queueStream, but) {
      const others = [...postOf(store, queueStream).moving].filter((move) => move !== but);
      return others.length === 0 ? undefined : Promise.allSettled(others);
    },
    moves: (queueStream) => postOf(store, queueStream).moves,
    returns: (queueStream, move) => work(postOf(store, queueStream), move),
    stray: (received) => stray(store, received),
    moved: (stream, consumer) => moved(store, stream, consumer),
    reset() {
      for (const post of posts.values()) endPulls(post);
    },
    close: () => close(store),
  };
}

function postOf({ posts }: Store, queueStream: QueueStream): Post {
  const known = posts.get(queueStream);
  if (known !== undefined) return known;
  const post: Post = {
    queueStream,
    pulls: new Map(),
    ending: new Set(),
    waiters: new Set(),
    expecting: new Set(),
    moving: new Set(),
    moves: 0,
    spare: [],
    alarm: undefined,
  };
  posts.set(queueStream, post);
  return post;
}

function isIdle(post: Post | undefined, slots: number): boolean {
  if (post === undefined || post.spare.length > 0 || post.moving.size > 0) return false;
  return post.pulls.has("w") && (slots <= 0 || post.pulls.has("b"));
}

function open(store: Store, post: Post, state: PullState): void {
  const { pulls, link } = store.context();
  if (store.closed || post.pulls.has(state) || !link.up) return;
  // Each queue has two: of returned jobs, and of those that wait.
  const made = pulls.open(post.queueStream, state, 2 * store.posts.size, {
    arrived: (received) => stray(store, received),
    over(gone) {
      if (post.pulls.get(state) === made) post.pulls.delete(state);
      hush(made.end(false));
      // To open one again at once where nothing is would be a storm: the call that waits is told, and asks again.
      if (gone !== undefined) {
        post.queueStream.told ||= post.waiters.size > 0;
        for (const waiter of [...post.waiters]) waiter.failed(gone);
      }
      if (post.waiters.size > 0) open(store, post, state);
    },
  });
  post.pulls.set(state, made);
}

/** A job on its way still comes, and goes to a call that asks for it in a moment, or back. */
function endPulls({ pulls, ending }: Post): void {
  for (const pull of pulls.values()) {
    ending.add(pull);
    hush(pull.end(false).finally(() => ending.delete(pull)));
  }
  pulls.clear();
}

function leave({ posts }: Store, waiter: Waiter): void {
  for (const queueStream of waiter.queueStreams) posts.get(queueStream)?.waiters.delete(waiter);
}

function spareOf(post: Post | undefined, limit: number, slots: number): Received[] {
  if (post === undefined || post.spare.length === 0) return [];
  const taken: Received[] = [];
  let back = slots;
  post.spare = post.spare.sort(inTurn).filter((received) => {
    if (taken.length >= limit || (received.state === "b" && back <= 0)) return true;
    if (received.state === "b") back--;
    taken.push(received);
    return false;
  });
  return taken;
}

function comes({ closed, alarms }: Store, post: Post, ms: number): Promise<void> {
  if (closed || post.spare.length > 0) return Promise.resolve();
  return new Promise((resolve) => {
    const came = (): void => {
      post.expecting.delete(came);
      alarm.cancel();
      resolve();
    };
    const alarm = alarms.set(ms, came);
    post.expecting.add(came);
  });
}

function stray(store: Store, received: Received): void {
  const { runtime, context, closed } = store;
  const post = postOf(store, received.queueStream);
  if (closed) return leaveBehind(store, post, [received]);
  const until = runtime.monotonic() + MOVE;
  if (
    received.returns === "lost" && context().deliveries.of(received.queueStream, received.seq) !== undefined
  ) {
    return work(post, areReady(store, post).then(() => back(store, post, received, until)));
  }
  if (received.returns !== undefined) return work(post, back(store, post, received, until));
  // It lay in the socket for long: it goes back, unless it is another's by now, and comes with a lease that is whole.
  if (!isWorthHanding(received, runtime.monotonic())) {
    return work(post, giveBack(context(), [received], until));
  }
  wake(store, post, received);
}

/** Takes a job back; one that a full store does not let move is for the call that waits. */
async function back(store: Store, post: Post, received: Received, until: number): Promise<void> {
  for (const lying of await takeBack(store.context(), [received], until)) wake(store, post, lying);
}

/** Resolves when the workers of this process have settled and extended their deliveries. */
async function areReady(store: Store, { waiters }: Post): Promise<void> {
  for (const ready of new Set([...[...waiters].map((waiter) => waiter.ready), store.ready])) {
    for (let order = ready?.(); order !== undefined; order = ready?.()) await order;
  }
}

function wake(store: Store, post: Post, received: Received): void {
  post.spare.push(received);
  serve(store, post);
  if (post.spare.length === 0) return;
  for (const came of [...post.expecting]) came();
  linger(store, post);
}

/** Gives calls that wait the jobs that are here, one each, in the order of both. */
function serve(store: Store, post: Post): void {
  for (const waiter of post.waiters) {
    const [first] = spareOf(post, 1, waiter.slots);
    if (first === undefined) continue;
    leave(store, waiter);
    waiter.got(first);
  }
}

/** Gives back jobs that came while no call waited, unless a call asks for them in a moment. */
function linger(store: Store, post: Post): void {
  const { runtime, context, alarms, closed } = store;
  if (closed || post.alarm !== undefined) return;
  const since = runtime.monotonic();
  post.alarm = alarms.set(LINGER, () => {
    post.alarm = undefined;
    const old = context().link.up ? post.spare : [];
    if (old.length > 0) {
      post.spare = [];
      work(post, giveBack(context(), old.sort(inTurn), since + LINGER + MOVE));
    }
    if (post.spare.length > 0) linger(store, post);
  });
}

/** Gives back jobs that no call can ask for any more. */
function leaveBehind({ context, runtime }: Store, post: Post, all: readonly Received[]): void {
  if (!context().link.up) return;
  const until = runtime.monotonic() + context().pulls.patience;
  const whole = all.filter(({ returns }) => returns === undefined).sort(inTurn);
  work(post, giveBack(context(), whole, until));
  const back = takeBack(context(), all.filter(({ returns }) => returns !== undefined), until);
  work(post, back.then((lying) => leaveThere(context(), lying)));
}

/** A job whose move fails here comes again by itself, when the server's lease is over. */
function work(post: Post, move: Promise<unknown>): void {
  post.moves++;
  post.moving.add(move);
  hush(move.catch(() => undefined).then(() => post.moving.delete(move)));
}

function moved(store: Store, stream: string, consumer: string): void {
  for (const post of store.posts.values()) {
    if (post.queueStream.stream !== stream) continue;
    for (const [state, pull] of [...post.pulls]) {
      if (post.queueStream.consumers[state] !== consumer) continue;
      post.pulls.delete(state);
      hush(pull.end(false));
      if (post.waiters.size > 0) open(store, post, state);
    }
  }
}

async function close(store: Store): Promise<void> {
  const { alarms, posts, runtime } = store;
  store.closed = true;
  alarms.clear();
  const ends: Promise<void>[] = [];
  for (const post of posts.values()) {
    for (const came of [...post.expecting]) came();
    // A message that is on its way to an open pull comes before that pull has ended.
    for (const pull of [...post.pulls.values(), ...post.ending]) ends.push(pull.end(true));
    post.pulls.clear();
    post.waiters.clear();
    leaveBehind(store, post, post.spare);
    post.spare = [];
  }
  const { patience } = store.context().pulls;
  await briefly(runtime, patience, Promise.all(ends));
  const moving = [...posts.values()].flatMap((post) => [...post.moving]);
  await briefly(runtime, patience, Promise.all(moving));
}
