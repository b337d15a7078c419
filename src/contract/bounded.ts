/**
 * Calls of a transport that end by themselves, so that none of the core's alarms need guard them: for a call that is
 * made alone an alarm is a tenth of its price.
 *
 * @module
 */

/** In each copy of this module the same. */
const BOUNDED = Symbol.for("relevo.bounded");

/**
 * Marks a verb whose every call ends at its deadline, or a moment later, whatever becomes of its store. The mark is on the
 * function and not on its transport: in a copy of the transport with another function the core guards that one.
 */
export function bounded<Verb extends (...args: never[]) => Promise<unknown>>(verb: Verb): Verb {
  return Object.assign(verb, { [BOUNDED]: true });
}

/** Whether a verb is so marked. */
export function isBounded(verb: object): boolean {
  return BOUNDED in verb;
}
