/**
 * The relays on one transport: the last of them that closes disposes of it. Transports are the same where the same
 * function disposes of them, so that a copy with some calls replaced, as `{ ...transport, push }`, counts with the
 * transport that it was made of. A transport that says itself how it is disposed of is another one.
 *
 * @module
 */

/** A relay, as others on its transport see it. */
export interface User {
  /** Undefined when its deliveries are in order; else resolves when they may be, and is asked again. Never rejects. */
  orderly?(): Promise<void> | undefined;
  /** A schedule was stored. */
  scheduled?(): void;
}

/** Held by the objects alone: an entry ends with its transport. */
const users = new WeakMap<object, Set<User>>();

/** The users of a transport, however many copies of it there are. */
export function usersOf(transport: AsyncDisposable): Set<User> {
  const key = identityOf(transport);
  const known = users.get(key) ?? new Set();
  users.set(key, known);
  return known;
}

/** All objects of one class are disposed of by one function: each of them is its own identity. */
function identityOf(transport: AsyncDisposable): object {
  let owner: object | null = transport;
  while (owner !== null && !Object.hasOwn(owner, Symbol.asyncDispose)) owner = Object.getPrototypeOf(owner);
  return owner === null || Object.hasOwn(owner, "constructor") ? transport : transport[Symbol.asyncDispose];
}
