/**
 * A line to one server: a connection that is made when it is wanted, and made anew, ever less eagerly, for as long as
 * a call wants it. Where none wants it nothing is tried, and no timer runs.
 *
 * @module
 */

import type { Runtime } from "../../../runtime.ts";
import type { Ticket } from "../calls.ts";
import type { Connection } from "./connection.ts";
import { isLasting, unavailable } from "../errors.ts";

/** A line. */
export interface Line {
  /** The connection, once there is one. Rejects early when to wait is of no use: a wrong password, a wrong version. */
  connected(ticket: Ticket): Promise<Connection>;
  /** The connection that there is. */
  readonly connection: Connection | undefined;
  /** Rejects the calls that wait for a connection, and leaves one that is there alone. */
  dismiss(reason: unknown): void;
  /** Ends the connection, and rejects the calls that wait for one with `reason`. */
  close(reason: unknown): void;
}

/** The parts of a line. */
export interface LineOptions {
  readonly name: string;
  readonly runtime: Runtime;
  /** Opens one connection; once at a time. An aborted attempt leaves nothing behind. */
  readonly open: (signal: AbortSignal) => Promise<Connection>;
  /** Told of each connection. */
  readonly opened?: ((connection: Connection) => void) | undefined;
}

interface Waiter {
  resolve(connection: Connection): void;
  reject(error: unknown): void;
}

/** Milliseconds between two attempts, at least and at most; they double, and chance takes up to half. */
const PAUSE_MIN = 50;
const PAUSE_MAX = 2_000;
/** Milliseconds that a connection must have lasted so that its end is not one more failure in a row. */
const STEADY = 1_000;

/** Why a pause ends early. No caller sees it. */
const DROPPED = "dropped";

/** Makes a line; nothing is opened yet. */
export function createLine(options: LineOptions): Line {
  const { name, runtime, open } = options;
  const waiters = new Set<Waiter>();
  let connection: Connection | undefined;
  let busy = false;
  let failures = 0;
  /** No attempt before this instant, by the monotonic clock. */
  let earliest = 0;
  let pausing: AbortController | undefined;
  const ending = new AbortController();
  let closed: { readonly reason: unknown } | undefined;
  let last: unknown;

  function fail(): void {
    const pause = Math.min(PAUSE_MAX, PAUSE_MIN * 2 ** Math.min(failures++, 16));
    earliest = runtime.monotonic() + pause * (0.5 + runtime.random() / 2);
  }

  function adopt(made: Connection): void {
    const since = runtime.monotonic();
    connection = made;
    last = undefined;
    made.whenLost(() => {
      if (connection === made) connection = undefined;
      if (runtime.monotonic() - since >= STEADY) failures = 0;
      fail();
      work();
    });
    options.opened?.(made);
    for (const waiter of [...waiters]) waiter.resolve(made);
  }

  function rejectAll(error: unknown): void {
    for (const waiter of [...waiters]) waiter.reject(error);
  }

  async function attempt(): Promise<void> {
    try {
      const made = await open(ending.signal);
      if (closed === undefined) adopt(made);
      else made.close();
    } catch (error) {
      last = error;
      fail();
      if (isLasting(error)) rejectAll(error);
    }
  }

  async function loop(): Promise<void> {
    while (waiters.size > 0 && connection === undefined && closed === undefined) {
      const pause = earliest - runtime.monotonic();
      if (pause > 0) {
        pausing = new AbortController();
        // The last waiting call left, or the line is closed: the loop's head sees it.
        await runtime.sleep(pause, pausing.signal).catch(() => undefined);
        pausing = undefined;
        continue;
      }
      await attempt();
    }
  }

  function work(): void {
    if (busy || waiters.size === 0) return;
    busy = true;
    void loop().finally(() => {
      busy = false;
      if (closed === undefined && connection === undefined) work();
    });
  }

  return {
    get connection() {
      return connection;
    },
    connected(ticket) {
      if (closed !== undefined) return Promise.reject(closed.reason);
      if (ticket.over) return Promise.reject(DROPPED);
      if (connection?.alive) return Promise.resolve(connection);
      ticket.late = () => unavailable(name, ticket.deadline, last);
      return new Promise((resolve, reject) => {
        const leave = (): void => {
          waiters.delete(waiter);
          stay();
          if (waiters.size === 0) pausing?.abort(DROPPED);
        };
        const waiter: Waiter = {
          resolve: (made) => {
            leave();
            resolve(made);
          },
          reject: (error) => {
            leave();
            reject(error);
          },
        };
        // A call that is over is not answered by this promise any more, but must not be waited for in vain either.
        const stay = ticket.whenOver(() => waiter.reject(DROPPED));
        waiters.add(waiter);
        work();
      });
    },
    dismiss: rejectAll,
    close(reason) {
      closed = { reason };
      rejectAll(reason);
      pausing?.abort(DROPPED);
      ending.abort(DROPPED);
      connection?.close();
    },
  };
}
