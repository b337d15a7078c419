/**
 * Relays that are built when they are first asked for, once each, and closed together; one whose transport does not
 * come is given up.
 *
 * @module
 */

import type { Jobs } from "../jobs/definitions.ts";
import { RelayClosed } from "../errors.ts";
import { hush } from "../promises.ts";
import { shown } from "../options.ts";
import type { Relay } from "../relay/relay.ts";
import { systemRuntime } from "../runtime.ts";
import type { StopOptions } from "../worker/worker.ts";

/** Relays by name. */
export interface Built<J extends Jobs> {
  /** Whether no relay is built any more. */
  readonly closed: boolean;
  names(): Iterable<string>;
  get(name: string): Promise<Relay<J>>;
  /** Closes those that there are, and gives up those whose transport does not come within a second. */
  close(options: StopOptions): Promise<void>;
}

interface One<J extends Jobs> {
  readonly relay: Promise<Relay<J>>;
  readonly giveUp: () => void;
}

/** Milliseconds in which the transports of relays that are being built may come, when all are closed. */
const LATE = 1_000;

/** Makes it; `made` hears of each relay. */
export function createBuilt<J extends Jobs>(
  build: (name: string) => Promise<Relay<J>>,
  made: (name: string, relay: Relay<J>) => void,
): Built<J> {
  const all = new Map<string, One<J>>();
  let closed = false;

  function begin(name: string): One<J> {
    const { promise, resolve, reject } = Promise.withResolvers<Relay<J>>();
    let wanted = true;
    build(name).then((relay) => {
      // No call waits for it: its transport must not stay open for that.
      if (!wanted) return hush(relay.close());
      resolve(relay);
      made(name, relay);
    }, (error) => {
      // It may succeed the next time.
      all.delete(name);
      reject(error);
    });
    // A caller of `get` need not wait for it.
    hush(promise);
    const giveUp = (): void => {
      wanted = false;
      reject(new RelayClosed(`get relay '${shown(name)}'`));
    };
    return { relay: promise, giveUp };
  }

  return {
    get closed(): boolean {
      return closed;
    },
    names: () => all.keys(),
    get(name) {
      if (closed) return Promise.reject(new RelayClosed(`get relay '${shown(name)}'`));
      const one = all.get(name) ?? begin(name);
      all.set(name, one);
      return one.relay;
    },
    async close(options) {
      closed = true;
      const ones = [...all.values()];
      const enough = systemRuntime().timer(LATE, () => ones.forEach(({ giveUp }) => giveUp()));
      const relays = Promise.all(ones.map(({ relay }) => relay.catch(() => undefined)));
      relays.then(enough, enough);
      await Promise.all(
        ones.map(async ({ relay }) => await (await relay.catch(() => undefined))?.close(options)),
      );
    },
  };
}
