/**
 * Calls on a test's fakes, counted: each method call on a world of fakes gets a number, and the handler can be given up
 * right behind one of them, as if its process had died there.
 *
 * @module
 */

/** A world whose calls are watched. */
export interface Watch<World> {
  /** The fakes that the handler gets in the place of the real world. */
  readonly world: World;
  /** The calls so far, as `mailer.send`, in their order. */
  readonly calls: readonly string[];
  /** Resolves when the call that the handler is given up behind has taken effect; never without such a call. */
  readonly givenUp: Promise<void>;
}

/** Thrown into a handler that was given up in a call that answers at once; no code of the handler's is to act on it. */
class GivenUp extends Error {
  override readonly name: string = "GivenUp";
}

type Method = (...args: unknown[]) => unknown;

/**
 * Watches a world. Properties that hold objects are watched in depth; the answer of a call is not.
 *
 * @param last The number of the call, from 1, that takes effect and never answers; every later one does nothing.
 * @param waiting Names of calls that answer with a promise, as an earlier watch found them: behind the last call they
 * never answer, where others throw.
 * @throws {TypeError} for a frozen object, whose methods cannot be watched.
 */
export function watch<World extends object>(
  world: World,
  last: number = Infinity,
  waiting: Set<string> = new Set(),
): Watch<World> {
  const calls: string[] = [];
  const proxies = new WeakMap<object, object>();
  const giving = Promise.withResolvers<void>();

  function call(name: string, target: object, method: Method, args: unknown[]): unknown {
    const number = calls.push(name);
    if (number > last) return silence(name);
    const answer = Reflect.apply(method, target, args);
    if (isThenable(answer)) waiting.add(name);
    if (number < last) return answer === target ? watched(target, name) : answer;
    if (!isThenable(answer)) {
      giving.resolve();
      throw new GivenUp(`given up behind call ${number}`);
    }
    answer.then(() => giving.resolve(), () => giving.resolve());
    return never();
  }

  function silence(name: string): unknown {
    if (waiting.has(name)) return never();
    throw new GivenUp("given up before this call");
  }

  function watched<T extends object>(target: T, path: string): T {
    const known = proxies.get(target);
    if (known !== undefined) return known as T;
    if (Object.isFrozen(target) && Object.keys(target).length > 0) {
      throw new TypeError(`Cannot watch the calls of '${path || "world"}' as it is frozen`);
    }
    const proxy = new Proxy(target, {
      get(_, key) {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof key === "symbol" || key === "constructor") return value;
        const name = path === "" ? key : `${path}.${key}`;
        if (typeof value === "function") return methodOf(name, target, value as Method);
        return typeof value === "object" && value !== null ? watched(value, name) : value;
      },
      set: (_, key, value) => Reflect.set(target, key, value, target),
    });
    proxies.set(target, proxy);
    return proxy;
  }

  function methodOf(name: string, target: object, method: Method): Method {
    return (...args) => call(name, target, method, args);
  }

  return { world: watched(world, ""), calls, givenUp: giving.promise };
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}
