/**
 * A client among the others: registered where it waits, and gone without a trace when it leaves.
 *
 * @module
 */

import type { Call } from "../../jobs/exchange.ts";
import { type Looks, REGISTERED } from "./waiters_poll.ts";
import { callOf, type Context } from "./context.ts";
import type { Argument, Script } from "./client/link.ts";

/** The scripts that it needs. */
export type PresenceScripts = Readonly<Record<"renew" | "unregister" | "pass" | "leave" | "clock", Script>>;

/** The calls of a client beside those for its jobs. */
export interface Presence extends Pick<Looks, "renew" | "unregister" | "pass" | "clock"> {
  /** Removes its consumers that hold nothing. */
  leave(call: Call): Promise<void>;
}

/** Queues of one script. */
const MAX_QUEUES = 500;

/** Makes the calls of a client beside those for its jobs. */
export function createPresence(context: Context, scripts: PresenceScripts): Presence {
  const { link, keys, instance } = context;

  async function forAll(
    script: Script,
    queues: readonly string[],
    args: readonly Argument[],
    call: Call,
  ): Promise<void> {
    const page = link.clustered ? 1 : MAX_QUEUES;
    const pages: Promise<unknown>[] = [];
    for (let start = 0; start < queues.length; start += page) {
      const bases = queues.slice(start, start + page).map((queue) => keys.base(queue));
      pages.push(link.run(script, bases, args, callOf(call)));
    }
    await Promise.all(pages);
  }

  return {
    renew: (queues, call) => forAll(scripts.renew, queues, [instance, String(REGISTERED)], call),
    unregister: (queues, call) => forAll(scripts.unregister, queues, [instance], call),
    pass: (queue, call) => forAll(scripts.pass, [queue], [], call),
    clock: async (queue, call) => Number(await link.run(scripts.clock, [keys.base(queue)], [], callOf(call))),
    leave: (call) => forAll(scripts.leave, [...context.visited], [instance], call),
  };
}
