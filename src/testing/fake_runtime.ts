/**
 * A runtime whose clock a test moves by hand and whose die is loaded: nothing waits, and every run is the same run.
 *
 * @module
 */

import { createHeap, type Heap } from "../flow/heap.ts";
import { checkKnown, wrongType } from "../options.ts";
import { type Runtime, sleepBy } from "../runtime.ts";
import { turn } from "./turns.ts";

/** Where a fake runtime begins. */
export interface FakeRuntimeOptions {
  /** The wall clock at the start, in milliseconds since the epoch. Default 2026-01-01T00:00:00Z. */
  readonly now?: number | undefined;
  /** The seed that `random` and `id` are drawn from; two runtimes of one test want different ones. Default 1. */
  readonly seed?: number | undefined;
  /** Work outside of this process that is waited for; nothing by default. */
  readonly outside?: Outside | undefined;
}

/** Another process that goes by this clock, such as a server that a test has started. */
export interface Outside {
  /** Called whenever the wall clock has moved, with its new time. */
  moved(now: number): void;
  /** Resolves with whether nothing has happened there, and nothing is on its way, since the last call. */
  quiet(): Promise<boolean>;
}

/** A {@linkcode Runtime} that stands still until it is told to move. */
export interface FakeRuntime extends Runtime {
  /** Sleeps and timers that neither ended nor were aborted; 0 when nothing leaked. Those of 0 ms count too. */
  readonly sleepers: number;
  /**
   * Lets `ms` milliseconds go by: wakes sleeper after sleeper in the order of their times (equal ones in the order
   * of their calls), and lets everything that follows from each come to rest before the next.
   */
  advance(ms: number): Promise<void>;
  /** Jumps to the next sleeper and wakes it; `false` when there is none. */
  next(): Promise<boolean>;
  /** Waits until everything that can go on without time going by has come to rest. */
  settle(): Promise<void>;
  /** Sets the wall clock, in milliseconds since the epoch; `monotonic` and sleepers do not notice. */
  setWall(ms: number): void;
  /** Moves the wall clock by `ms`, back if negative; `monotonic` and sleepers do not notice. */
  step(ms: number): void;
}

interface Sleeper {
  readonly due: number;
  readonly order: number;
  readonly wake: () => void;
  gone: boolean;
}

/** The clocks, and the signs of life that a runtime waits to cease. */
interface State {
  readonly outside: Outside | undefined;
  readonly asleep: Heap<Sleeper>;
  monotonic: number;
  /** Milliseconds from `monotonic` to the wall clock. */
  wall: number;
  /** Calls of the runtime, and ends of sleepers. */
  calls: number;
  sleepers: number;
  /** Sleeps of 0 ms that have not ended. */
  hops: number;
}

const START = Date.UTC(2026, 0, 1);
/** `monotonic` does not begin at 0, so that an instant taken for a duration shows. */
const MONOTONIC_START = 10_000;
/** Turns of the event loop without any sign of life after which all is taken to be at rest. */
const QUIET_TURNS = 4;
/** Turns after which something is taken to go in circles. */
const MAX_TURNS = 1_000_000;
const DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/**
 * Makes a runtime for tests: clocks move only by `advance` and `next`, `random` and `id` repeat from run to run.
 * A sleep of 0 ms needs no `advance`: it ends in the next turn of the event loop.
 *
 * Work that waits for something outside of the runtime, such as a file or a socket, is not waited for, unless `outside`
 * says when all is quiet there: wait for its event.
 *
 * @example
 * ```ts
 * import { createFakeRuntime } from "@relevo/relevo/testing";
 *
 * const runtime = createFakeRuntime();
 * let awake = false;
 * const slept = runtime.sleep(60_000).then(() => awake = true);
 * await runtime.advance(60_000);
 * await slept;
 * console.log(awake, runtime.sleepers); // true 0
 * ```
 *
 * @throws {TypeError} for an option that is wrong or unknown.
 */
export function createFakeRuntime(options: FakeRuntimeOptions = {}): FakeRuntime {
  const action = "make a fake runtime";
  checkKnown(action, options, ["now", "seed", "outside"]);
  const { now = START, seed = 1, outside } = options;
  for (const [name, value] of Object.entries({ now, seed })) {
    if (!Number.isFinite(value)) throw wrongType(action, `'${name}'`, "a number", value);
  }
  const state: State = {
    outside,
    asleep: createHeap((a, b) => a.due < b.due || (a.due === b.due && a.order < b.order)),
    monotonic: MONOTONIC_START,
    wall: now - MONOTONIC_START,
    calls: 0,
    sleepers: 0,
    hops: 0,
  };
  const random = createRandom(seed);
  const id = createIds(() => Math.floor(wallClock(state)), seed);
  const startTimer: Runtime["timer"] = (ms, ring) => timer(state, ms, ring);
  outside?.moved(wallClock(state));
  return {
    now: () => (state.calls++, wallClock(state)),
    monotonic: () => (state.calls++, state.monotonic),
    sleep: sleepBy(startTimer),
    timer: startTimer,
    random: () => (state.calls++, random()),
    id: () => (state.calls++, id()),
    get sleepers(): number {
      return state.sleepers;
    },
    advance: (ms) => advance(state, ms),
    next: () => next(state),
    settle: () => settle(state),
    setWall: (ms) => turnWall(state, ms - state.monotonic),
    step: (ms) => turnWall(state, state.wall + ms),
  };
}

function wallClock({ wall, monotonic }: State): number {
  return wall + monotonic;
}

function timer(state: State, ms: number, ring: () => void): () => void {
  state.calls++;
  const end = (): boolean => {
    if (sleeper.gone) return false;
    sleeper.gone = true;
    state.sleepers--;
    state.calls++;
    return true;
  };
  const wake = (): void => {
    if (end()) ring();
  };
  const due = state.monotonic + Math.max(0, ms);
  const sleeper: Sleeper = { due, order: state.calls, wake, gone: false };
  state.sleepers++;
  if (ms > 0) state.asleep.push(sleeper);
  else {
    state.hops++;
    turn().then(() => {
      state.hops--;
      wake();
    });
  }
  return () => void end();
}

/**
 * Chains of awaits need no turn each, but code that hops through the event loop does; each call restarts the count.
 */
async function settle(state: State): Promise<void> {
  const { outside } = state;
  let seen = state.calls;
  for (let quiet = 0, turns = 0; quiet < QUIET_TURNS; turns++) {
    if (turns > MAX_TURNS) {
      throw new Error(
        `Cannot settle: the code under test still calls the runtime after ${MAX_TURNS} turns`,
      );
    }
    await turn();
    quiet = state.calls === seen && state.hops === 0 ? quiet + 1 : 0;
    if (quiet === QUIET_TURNS && outside !== undefined && !await outside.quiet()) quiet = 0;
    seen = state.calls;
  }
}

function earliest({ asleep }: State): Sleeper | undefined {
  while (asleep.peek()?.gone) asleep.pop();
  return asleep.peek();
}

function move(state: State, to: number): void {
  state.monotonic = Math.max(state.monotonic, to);
  state.outside?.moved(wallClock(state));
}

async function wakeEarliest(state: State, sleeper: Sleeper): Promise<void> {
  state.asleep.pop();
  move(state, sleeper.due);
  sleeper.wake();
  await settle(state);
}

async function advance(state: State, ms: number): Promise<void> {
  if (!(ms >= 0)) throw new RangeError(`Cannot advance as 'ms' must be 0 or more: current value is ${ms}`);
  const target = state.monotonic + ms;
  await settle(state);
  for (let first = earliest(state); first !== undefined && first.due <= target; first = earliest(state)) {
    await wakeEarliest(state, first);
  }
  move(state, target);
  await settle(state);
}

async function next(state: State): Promise<boolean> {
  await settle(state);
  const first = earliest(state);
  if (first === undefined) return false;
  await wakeEarliest(state, first);
  return true;
}

function turnWall(state: State, to: number): void {
  state.wall = to;
  state.outside?.moved(wallClock(state));
}

/** Mulberry32: small, fast, and the same everywhere. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Ids as long as the real ones: time, seed, count; a clock that steps back does not make them go back. */
function createIds(now: () => number, seed: number): () => string {
  let time = 0;
  let count = 0;
  return () => {
    time = Math.max(time, now());
    return encode(time, 10) + encode(seed >>> 0, 7) + encode(++count, 9);
  };
}

function encode(value: number, length: number): string {
  let text = "";
  for (let rest = value; text.length < length; rest = Math.floor(rest / 32)) text = DIGITS[rest % 32] + text;
  return text;
}
