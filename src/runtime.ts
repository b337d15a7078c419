/**
 * The runtime port: everything that is not deterministic comes through this one small interface, so that tests and
 * simulations can put a clock and a die of their own in its place. The only file that touches timers, clocks and
 * randomness.
 *
 * @module
 */

/** Clock, timer and die. */
export interface Runtime {
  /** Wall-clock time in milliseconds since the epoch. For data only: it may jump. */
  now(): number;
  /** Milliseconds that only ever grow. For every duration. */
  monotonic(): number;
  /**
   * Resolves after so many milliseconds; 0: in the next macrotask. Any length: a time that a timer cannot hold is slept
   * in parts. Rejects with the signal's reason when it aborts, and then leaves no timer behind.
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /**
   * Calls `ring` once, as long from now as {@linkcode Runtime.sleep} would sleep; answers what cancels this, after which
   * no timer is left. Costs less than a sleep where most are cancelled. `ring` must not throw.
   */
  timer(ms: number, ring: () => void): () => void;
  /** A number from 0 up to but not 1. */
  random(): number;
  /** A new id of 26 characters, unique across processes, that sorts after earlier ones of this process. */
  id(): string;
  /** Prints one line, as the console does at this level. Absent: nothing is printed, as in tests. */
  readonly print?: ((level: PrintLevel, line: string) => void) | undefined;
}

/** How urgent a line is, from the least to the most. */
export type PrintLevel = "debug" | "info" | "warn" | "error";

/**
 * Taken when this module is loaded: a test that replaces the global ones meanwhile (`vi.useFakeTimers`) would let no
 * call of ours end, as nothing tells its clock to move. For tests there is a runtime whose clock is moved by hand.
 */
const setTimer: typeof setTimeout = real("setTimeout", setTimeout);
const clearTimer: typeof clearTimeout = real("clearTimeout", clearTimeout);
/** Node, Deno and Bun have a macrotask without the millisecond that a timer takes; the web has not. */
const setMacrotask: unknown = macrotask("setImmediate");
const clearMacrotask: unknown = macrotask("clearImmediate");
const wallClock: () => number = real("Date", Date).now;
const stopwatch: typeof performance = real("performance", performance);
const monotonicClock: () => number = stopwatch.now.bind(stopwatch);

/**
 * A global as it was before fake timers took its place: a runner's settings may say so (`fakeTimers.enableGlobally` of
 * jest), before this module is loaded. The library of most runners keeps the real one on its clock, by its name with an
 * underscore.
 */
export function real<Value extends object>(name: string, present: Value): Value {
  const clock: unknown = Reflect.get(present, "clock");
  const kept: unknown = isObject(clock) ? Reflect.get(clock, `_${name}`) : undefined;
  return typeof kept === typeof present ? kept as Value : present;
}

/** The real `setImmediate` or `clearImmediate`; undefined where there is none. */
export function macrotask(name: "setImmediate" | "clearImmediate"): unknown {
  const present: unknown = Reflect.get(globalThis, name);
  return typeof present === "function" ? real(name, present) : undefined;
}

/** The longest time that a timer holds; a longer one fires at once on most runtimes. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** Crockford's digits: no vowel that could spell a word, and they sort as their values do. */
const DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** The real thing, from web standards alone. */
export function systemRuntime(): Runtime {
  return {
    now: () => wallClock(),
    monotonic: () => monotonicClock(),
    sleep: sleepBy(timer),
    timer,
    random: () => Math.random(),
    id: createIds(() => wallClock()),
    print: (level, line) => console[level](line),
  };
}

/** Makes a sleep of timers. */
export function sleepBy(timer: Runtime["timer"]): Runtime["sleep"] {
  return (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const abort = (): void => {
        cancel();
        reject(signal?.reason);
      };
      const cancel = timer(ms, () => {
        signal?.removeEventListener("abort", abort);
        resolve();
      });
      signal?.addEventListener("abort", abort, { once: true });
    });
}

function timer(ms: number, ring: () => void): () => void {
  if (ms <= 0 && typeof setMacrotask === "function" && typeof clearMacrotask === "function") {
    const immediate: unknown = setMacrotask(ring);
    return () => void clearMacrotask(immediate);
  }
  if (ms <= LONGEST_TIMER) {
    const short = setTimer(ring, ms);
    return () => clearTimer(short);
  }
  let cancel = (): void => {};
  const arm = (rest: number): void => {
    const part = Math.min(rest, LONGEST_TIMER);
    const long = setTimer(() => part < rest ? arm(rest - part) : ring(), part);
    cancel = () => clearTimer(long);
  };
  arm(ms);
  return () => cancel();
}

/** A value that follows a chain of asynchronous calls. */
export interface AsyncStore {
  /** Makes a call, in which, and in all that follows from it, the value is there. */
  run<Result>(value: object, call: () => Result): Result;
  /** The value of the innermost call that the caller follows from. */
  getStore(): unknown;
}

/** Where the store is kept: one for the whole process, as calls go from one relay to another. */
const ASYNC_STORE = Symbol.for("relevo.async");

/**
 * The process's `AsyncLocalStorage`, made when it is first asked for; undefined where the runtime has none. Taken
 * without an import, which a runtime that has none could not even load.
 */
export function asyncStore(): AsyncStore | undefined {
  const Storage = builtIn("node:async_hooks", "AsyncLocalStorage");
  if (Storage === undefined) return undefined;
  const known: unknown = Reflect.get(globalThis, ASYNC_STORE);
  if (isAsyncStore(known)) return known;
  const made: unknown = Reflect.construct(Storage, []);
  if (!isAsyncStore(made)) return undefined;
  Object.defineProperty(globalThis, ASYNC_STORE, { value: made, configurable: true });
  return made;
}

/** A way into a store. */
export interface WayIn {
  /** Makes a call with a value in the store. */
  enter<Result>(value: object, call: () => Result): Result;
}

/** Makes calls with a value in a store. */
type EnterStore = <Result>(value: object, call: () => Result) => Result;

/**
 * A maker of ways into a store for calls that come by the thousand, each as though it were made where the way was.
 * `run` of Node 24 and later makes two contexts a call, the second of them a copy, to have the first again afterwards;
 * a resource that was made before goes back for nothing, which is a fifth of the price. Not so where a resource keeps
 * the store that a call entered, as in Node 22: a store that a handler enters itself would be there for the next one.
 * In Deno resources are dearer than contexts.
 */
export function waysInto(store: AsyncStore): () => WayIn {
  const run: WayIn = { enter: (value, call) => store.run(value, call) };
  const Resource = builtIn("node:async_hooks", "AsyncResource");
  const enterWith = "enterWith" in store ? store.enterWith : undefined;
  if (Resource === undefined || typeof enterWith !== "function" || "Deno" in globalThis) return () => run;
  const enter: EnterStore = (value, call) => {
    enterWith.call(store, value);
    return call();
  };
  const scopeHere = (): AsyncScope | undefined => {
    const scope: unknown = Reflect.construct(Resource, ["relevo"]);
    return isAsyncScope(scope) ? scope : undefined;
  };
  let forgets: boolean | undefined;
  return () => {
    const scope = scopeHere();
    forgets ??= isForgetful(store, enter, scopeHere());
    if (scope === undefined || !forgets) return run;
    return new ScopedWay(scope, enter);
  };
}

/** A class, as V8 forgets the code made for a closure with the closure. */
class ScopedWay implements WayIn {
  readonly #scope: AsyncScope;
  readonly #enter: EnterStore;

  constructor(scope: AsyncScope, enter: EnterStore) {
    this.#scope = scope;
    this.#enter = enter;
  }

  enter<Result>(value: object, call: () => Result): Result {
    return this.#scope.runInAsyncScope(this.#enter, undefined, value, call) as Result;
  }
}

/** Whether a store that was entered in a scope is gone when the call is over. */
function isForgetful(store: AsyncStore, enter: EnterStore, scope: AsyncScope | undefined): boolean {
  const value = {};
  try {
    scope?.runInAsyncScope(enter, undefined, value, () => undefined);
    return scope?.runInAsyncScope(() => store.getStore()) !== value;
  } catch {
    // Some runtimes have the method and refuse the call.
    return false;
  }
}

/** A function of a module of Node's, such as `node:async_hooks`; undefined where the runtime has none. */
export function builtIn(module: string, name: string): ((...given: never) => unknown) | undefined {
  const process: unknown = Reflect.get(globalThis, "process");
  const getBuiltinModule: unknown = isObject(process) ? Reflect.get(process, "getBuiltinModule") : undefined;
  if (typeof getBuiltinModule !== "function") return undefined;
  const all: unknown = Reflect.apply(getBuiltinModule, process, [module]);
  const found: unknown = isObject(all) ? Reflect.get(all, name) : undefined;
  return typeof found === "function" ? found as (...given: never) => unknown : undefined;
}

/** An `AsyncResource`. */
interface AsyncScope {
  runInAsyncScope<Given extends unknown[], Result>(
    call: (...given: Given) => Result,
    thisArg?: unknown,
    ...given: Given
  ): Result;
}

function isAsyncScope(value: unknown): value is AsyncScope {
  return isObject(value) && "runInAsyncScope" in value && typeof value.runInAsyncScope === "function";
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function isAsyncStore(value: unknown): value is AsyncStore {
  return isObject(value) && "run" in value && typeof value.run === "function" &&
    "getStore" in value && typeof value.getStore === "function";
}

/** 48 bits of time and 80 random bits; within one millisecond the random part counts up, so that ids keep order. */
function createIds(now: () => number): () => string {
  const random = new Uint8Array(16);
  /**
   * Random bytes for the milliseconds to come, as to ask for many costs no more than to ask for some. They are of this
   * second alone: a machine that is restored from a snapshot, maybe twice, must not go on with the same ones.
   */
  const pool = new Uint8Array(64 * random.length);
  let drawn = pool.length;
  let time = -1;
  /** The time but for its last two digits, and the digits of that: they are the same for a second. */
  let second = -1;
  let prefix = "";
  /** All digits but the last, which alone changes from most ids to the next. */
  let head = "";
  return () => {
    const current = now();
    if (current > time) {
      time = current;
      if (second !== Math.floor(time / 1_024)) {
        second = Math.floor(time / 1_024);
        prefix = encodeTime(second);
        drawn = pool.length;
      }
      if (drawn === pool.length) {
        crypto.getRandomValues(pool);
        drawn = 0;
      }
      for (let i = 0; i < random.length; i++) random[i] = pool[drawn++] ?? 0;
      head = "";
    } else {
      increment(random);
    }
    const last = (random[15] ?? 0) & 31;
    if (head === "" || last === 0) {
      head = prefix + digitOf(time >> 5) + digitOf(time);
      for (let i = 0; i < 15; i++) head += digitOf(random[i] ?? 0);
    }
    return head + digitOf(last);
  };
}

/** The digit of a number's last five bits. */
function digitOf(value: number): string {
  return DIGITS[value & 31] ?? "";
}

/** Eight digits. */
function encodeTime(second: number): string {
  let text = "";
  for (let rest = second, i = 0; i < 8; i++, rest = Math.floor(rest / 32)) text = DIGITS[rest % 32] + text;
  return text;
}

function increment(digits: Uint8Array): void {
  for (let i = digits.length - 1; i >= 0; i--) {
    const value = ((digits[i] ?? 0) & 31) + 1;
    digits[i] = value & 31;
    if (value < 32) return;
  }
}

/** Web Crypto's `CryptoKey`, by the global's own type: Node's types do not name it globally. */
export type WebCryptoKey = Parameters<(typeof crypto)["subtle"]["encrypt"]>[1];

/** Web Crypto, for keys and nonces: real also where a test holds the clock, as a nonce must never come again. */
export function webCrypto(): typeof crypto {
  return crypto;
}
