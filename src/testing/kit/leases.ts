/**
 * The leases of a test's transport: which deliveries are out, and how one is lost.
 *
 * @module
 */

import type { Extended, Held, Settled } from "../../jobs/exchange.ts";
import type { Transport } from "../../contract/transport.ts";
import { pause } from "../turns.ts";

/**
 * Milliseconds that a delivery may take in which nothing else happens; then its handler is taken to wait for the clock.
 */
const PATIENCE = 100;
/** Milliseconds that the call to end a lease may take, by a clock that stands still meanwhile. */
const DEADLINE = 10_000;

/** The deliveries that are out, of any number of transports. */
export interface Leases {
  /** The same transport, whose deliveries are known from now on. */
  watch(transport: Transport): Transport;
  /**
   * Resolves with whether all deliveries are settled, but for those whose handlers wait for the clock. It takes a while
   * to tell: call it again after a `false`.
   */
  atRest(): Promise<boolean>;
  /** Ends the lease of a job at once; `false` when no delivery of it is out. */
  lose(id: string): Promise<boolean>;
}

interface Out {
  readonly id: string;
  readonly queue: string;
  readonly token: string;
  readonly transport: Transport;
  /** Nothing happened while it was waited for. */
  waits: boolean;
}

/** Makes them. */
export function createLeases(): Leases {
  const out = new Map<string, Out>();
  const lost = new Set<string>();
  let changes = 0;
  let seen = 0;
  let quiet = 0;

  function forget({ token }: Held): void {
    if (out.delete(token)) changes++;
  }

  /** Sends for leases that are not lost, and answers `stale` for those that are. */
  async function unlessLost<Item extends Held, Answer>(
    items: readonly Item[],
    send: (held: readonly Item[]) => Promise<readonly Answer[]>,
  ): Promise<readonly (Answer | undefined)[]> {
    const held = items.filter(({ token }) => !lost.has(token));
    const answers = held.length === 0 ? [] : await send(held);
    let next = 0;
    return items.map(({ token }) => lost.has(token) ? undefined : answers[next++]);
  }

  return {
    watch: (transport) => ({
      ...transport,
      async reserve(queues, options) {
        const deliveries = await transport.reserve(queues, options);
        for (const { id, queue, token } of deliveries) {
          out.set(token, { id, queue, token, transport, waits: false });
          changes++;
        }
        return deliveries;
      },
      async extend(leases, call) {
        const answers = await unlessLost(leases, (held) => transport.extend(held, call));
        return answers.map((answer, index): Extended => {
          const lease = leases[index];
          const told = answer ?? { state: "stale" };
          if (lease !== undefined && "state" in told && told.state === "stale") forget(lease);
          return told;
        });
      },
      async settle(settlements, call) {
        const answers = await unlessLost(settlements, (held) => transport.settle(held, call));
        settlements.forEach(forget);
        return answers.map((answer): Settled => answer ?? "stale");
      },
    }),
    async atRest() {
      if ([...out.values()].every(({ waits }) => waits)) return true;
      await pause();
      quiet = seen === changes ? quiet + 1 : 0;
      seen = changes;
      if (quiet < PATIENCE) return false;
      for (const each of out.values()) each.waits = true;
      return true;
    },
    async lose(id) {
      const found = [...out.values()].find((each) => each.id === id);
      if (found === undefined) return false;
      const { queue, token, transport } = found;
      lost.add(token);
      await transport.extend([{ queue, token, ms: 0 }], { deadline: DEADLINE });
      return true;
    },
  };
}
