/**
 * Deno leaves Nagle's algorithm on for its WebSockets, and gives no way to turn it off: a small message is held back
 * until the server's system acknowledges the one before, and that waits some 40 ms for something to send along with it.
 * So each message that is sent there has a ping behind it, with whose answer the acknowledgement comes. Two calls that
 * are not answered at once, as pulls are not, took 44 ms for that, and take 1 ms so (Deno 2.9).
 *
 * @module
 */

import { hush } from "../../../promises.ts";
import type { NatsConnection, NatsSubscription } from "./connection.ts";

/** Whether WebSockets of this runtime hold small messages back. */
export function holdsBack(): boolean {
  return "Deno" in globalThis;
}

/** The same connection; messages that are sent in one turn have a ping behind them. */
export function prompt(connection: NatsConnection): NatsConnection {
  let due = false;

  /** Asked for before the client puts anything in its buffer, so that it sends none without. */
  function ping(): void {
    if (due) return;
    due = true;
    queueMicrotask(() => {
      due = false;
      hush(connection.flush());
    });
  }

  function prompted(subscription: NatsSubscription): NatsSubscription {
    return {
      unsubscribe() {
        ping();
        subscription.unsubscribe();
      },
      drain() {
        ping();
        return subscription.drain();
      },
    };
  }

  return {
    get info() {
      return connection.info;
    },
    publish(subject, payload, options) {
      ping();
      connection.publish(subject, payload, options);
    },
    subscribe(subject, options) {
      ping();
      return prompted(connection.subscribe(subject, options));
    },
    status: () => connection.status(),
    flush: () => connection.flush(),
    close: () => connection.close(),
    closed: () => connection.closed(),
    isClosed: () => connection.isClosed(),
  };
}
