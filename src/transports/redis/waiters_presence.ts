/**
 * A client among the others: registered where it waits, and gone without a trace when it leaves.
 *
 * @module
 */

import type { Call } from "../../jobs/exchange.ts";
import { parted } from "../../store/pages.ts";
import { type Looks, REGISTERED } from "./waiters_poll.ts";
import type { Context } from "./context.ts";
import type { Argument, Script } from "./client/link.ts";
import type { PresenceScripts } from "./scripts/waiters.ts";

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
    const pages = [...parted(queues.map((queue) => keys.base(queue)), link.clustered ? 1 : MAX_QUEUES)];
    await Promise.all(pages.map((bases) => link.run(script, bases, args, call)));
  }

  return {
    renew: (queues, call) => forAll(scripts.renew, queues, [instance, String(REGISTERED)], call),
    unregister: (queues, call) => forAll(scripts.unregister, queues, [instance], call),
    pass: (queue, call) => forAll(scripts.pass, [queue], [], call),
    clock: async (queue, call) => Number(await link.run(scripts.clock, [keys.base(queue)], [], call)),
    leave: (call) => forAll(scripts.leave, [...context.visited], [instance], call),
  };
}
