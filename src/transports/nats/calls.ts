/**
 * Calls of one transport: bounded by their deadlines and signals, carried out in the order in which they were made, and
 * ended when the transport is closed.
 *
 * @module
 */

import { unlessLate } from "../../flow/deadline.ts";
import { DeadlineExceeded, TransportClosed, TransportError } from "../../errors.ts";
import type { Call } from "../../jobs/exchange.ts";
import { unlessAborted } from "../../promises.ts";
import { AnswerLost, isStreamGone, typed } from "./client/errors.ts";
import type { Context, QueueCall } from "./stream/context.ts";
import { inOrder } from "./stream/queue_stream.ts";

/** Listens for the end of a wait from outside; returns a function that ends the listening. */
export type OnEnd = (end: (error: unknown) => void) => () => void;

/** Carries out the calls of one transport. */
export interface Calls {
  /** Bounds a call; `work` gets the end of its time, on the monotonic clock. */
  call<T>(bounds: Call, work: (until: number) => Promise<T>): Promise<T>;
  /** The same, once there is a connection. */
  ask<T>(bounds: Call, action: string, work: (until: number) => Promise<T>): Promise<T>;
  /** The same of a queue; answers `none` where it has no stream. */
  on<T>(
    queue: string,
    bounds: Call,
    action: string,
    none: T,
    work: (call: QueueCall) => T | Promise<T>,
  ): Promise<T>;
  /** Makes a call that puts messages into queues, once the calls have ended that reserve from them at this moment. */
  inTurn<T>(
    items: readonly { readonly queue: string }[],
    action: string,
    until: number,
    put: () => Promise<T>,
  ): Promise<T>;
  /** A call that waits, and bounds itself. */
  wait<T>(signal: AbortSignal | undefined, work: (onEnd: OnEnd) => Promise<T>): Promise<T>;
  /** Ends all calls, once. */
  close(): Promise<void>;
}

/** Makes the calls of a transport. */
export function createCalls(context: Context): Calls {
  const { link, streams } = context;
  const { name, runtime } = link.settings;
  const ends = new Set<(error: unknown) => void>();
  let closing: Promise<void> | undefined;

  /** The error of a call that ends because the transport was closed says so. */
  function ended(error: unknown): unknown {
    if (isStreamGone(error)) streams.forgetAll();
    const cause = error instanceof AnswerLost ? error.cause : typed(error, "use JetStream");
    return closing !== undefined && cause instanceof TransportError ? new TransportClosed(name) : cause;
  }

  async function bounded<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    if (closing !== undefined) throw new TransportClosed(name);
    signal?.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      throw ended(error);
    }
  }

  const calls: Calls = {
    call: ({ signal, deadline }, work) =>
      bounded(signal, () => unlessAborted(work(runtime.monotonic() + deadline), signal)),
    ask: (bounds, action, work) =>
      calls.call(bounds, async (until) => {
        await link.ready(until, action);
        return await work(until);
      }),
    on: (queue, bounds, action, none, work) =>
      calls.ask(bounds, action, async (until) => {
        const queueStream = await streams.find(queue, until);
        return queueStream === undefined ? none : await work({ ...context, queueStream, until });
      }),
    inTurn(items, action, until, put) {
      const orders = new Set(items.map(({ queue }) => streams.of(queue).order));
      const ms = Math.max(0, until - runtime.monotonic());
      const late = (): Error => new DeadlineExceeded(action, ms);
      return inOrder(orders, "put", (before) => unlessLate(link.alarms, before, { ms, late }), put);
    },
    wait: (signal, work) => bounded(signal, () => work((end) => listen(ends, signal, end))),
    close: () => closing ??= closeAll(context, ends),
  };
  return calls;
}

function listen(
  ends: Set<(error: unknown) => void>,
  signal: AbortSignal | undefined,
  end: (error: unknown) => void,
): () => void {
  const abort = (): void => end(signal?.reason);
  ends.add(end);
  signal?.addEventListener("abort", abort, { once: true });
  return () => {
    ends.delete(end);
    signal?.removeEventListener("abort", abort);
  };
}

async function closeAll(
  { link, waiters, deliveries }: Context,
  ends: ReadonlySet<(error: unknown) => void>,
): Promise<void> {
  for (const end of [...ends]) end(new TransportClosed(link.settings.name));
  await waiters.close();
  deliveries.close();
  await link.close();
}
