/**
 * Calls as the contract has them: each with its deadline and signal, each answered once, whatever becomes of the work
 * behind it.
 *
 * @module
 */

import { type Alarm, createAlarms } from "../flow/alarms.ts";
import { briefly } from "../flow/deadline.ts";
import { DeadlineExceeded, TransportClosed } from "../errors.ts";
import type { Call } from "../jobs/exchange.ts";
import type { Runtime } from "../runtime.ts";

/** One call while it lasts. */
export interface Ticket {
  /** No caller waits for its answer any more: nothing may be sent for it. */
  readonly over: boolean;
  /** Milliseconds that it may take in all. */
  readonly deadline: number;
  /** Makes the error of the call, should its deadline pass now; undefined: it says no more than that. */
  late: (() => unknown) | undefined;
  /** It is with the server, which may carry it out, and no answer has come. */
  sent: boolean;
  /** Runs `then` once it is over, however it ended; answers a function that takes this back. */
  whenOver(then: () => void): () => void;
}

/** Makes calls, and ends them. */
export interface Calls {
  /** Runs `work`; answers as it does, unless the deadline, the signal or the end of all calls comes first. */
  run<T>(call: Call, action: string, work: (ticket: Ticket) => Promise<T>): Promise<T>;
  /**
   * Rejects new calls, and those that were not sent, with `TransportClosed`. A call that was sent has a moment for its
   * answer; then its outcome will not be known.
   */
  close(): Promise<void>;
  readonly closed: boolean;
}

/** Milliseconds that a call that was sent has for its answer at the end. */
const FAREWELL = 1_000;

/** Makes calls for a transport of that name; `unanswered` makes the error of one that was sent and never answered. */
export function createCalls(
  name: string,
  runtime: Runtime,
  unanswered: (reason: TransportClosed) => unknown,
): Calls {
  const alarms = createAlarms(runtime);
  const open = new Map<Ticket, (error: unknown) => void>();
  let closed = false;

  function run<T>(call: Call, action: string, work: (ticket: Ticket) => Promise<T>): Promise<T> {
    const { signal, deadline } = call;
    if (closed) return Promise.reject(new TransportClosed(name));
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const ticket = createTicket(deadline);
      const alarm: Alarm = alarms.set(
        deadline,
        () => fail(ticket.late?.() ?? new DeadlineExceeded(action, deadline)),
      );
      const abort = signal && ((): void => fail(signal.reason));
      const end = (): void => {
        alarm.cancel();
        open.delete(ticket);
        if (abort) signal?.removeEventListener("abort", abort);
        endTicket(ticket);
      };
      const fail = (error: unknown): void => {
        if (ticket.over) return;
        reject(error);
        end();
      };
      if (abort) signal?.addEventListener("abort", abort, { once: true });
      open.set(ticket, fail);
      work(ticket).then((value) => {
        if (ticket.over) return;
        resolve(value);
        end();
      }, fail);
    });
  }

  return {
    run,
    async close() {
      closed = true;
      for (const [ticket, end] of [...open]) if (!ticket.sent) end(new TransportClosed(name));
      const over = [...open.keys()].map((ticket) => new Promise<void>((resolve) => ticket.whenOver(resolve)));
      if (over.length > 0) await briefly(runtime, FAREWELL, Promise.all(over));
      for (const end of [...open.values()]) end(unanswered(new TransportClosed(name)));
      alarms.clear();
    },
    get closed() {
      return closed;
    },
  };
}

/** Tells the bounds of the next part of a call that is carried out part after part: what is left of its time. */
export function restOf(runtime: Runtime, action: string, { signal, deadline }: Call): () => Call {
  const until = runtime.monotonic() + deadline;
  return () => {
    const left = until - runtime.monotonic();
    if (left <= 0) throw new DeadlineExceeded(action, deadline);
    return { signal, deadline: left };
  };
}

/** A ticket, and what says that it is over. */
export interface Held extends Ticket {
  over: boolean;
  /** Those that wait for its end; undefined: none does. */
  followers: Set<() => void> | undefined;
}

/** Makes a ticket that lasts until it is ended. */
export function createTicket(deadline: number): Held {
  return { over: false, deadline, late: undefined, sent: false, followers: undefined, whenOver };
}

/** Made once: a function for each ticket would be a part of a call's garbage. */
function whenOver(this: Held, then: () => void): () => void {
  if (this.over) then();
  else (this.followers ??= new Set()).add(then);
  return () => void this.followers?.delete(then);
}

/** Ends a ticket. */
export function endTicket(ticket: Held): void {
  ticket.over = true;
  if (ticket.followers !== undefined) { for (const follower of ticket.followers) follower(); }
}
