/**
 * Settings without the effect that was meant: options on a transport that retries by itself, a worker that has nothing
 * to read, and one that reads a queue which nothing knows.
 *
 * @module
 */

import { READS_NOTHING } from "../events/reads_nothing.ts";
import { UnknownQueueError } from "../errors.ts";
import type { WorkerOptions } from "./settings.ts";
import { aside, type Bench, type State } from "./state.ts";

/** Tells of each such option of the worker and of the definitions, as an `error` event. */
export function tellIgnored({ transport, definitions, events }: Bench, options: WorkerOptions): void {
  if (transport.features.handlesRetries !== true) return;
  const ignored: string[] = [];
  for (const option of ["maxRetry", "backoff"] as const) {
    if (options[option] !== undefined) ignored.push(`'${option}' of the worker`);
  }
  for (const name of definitions.names) {
    for (const option of ["maxAttempts", "backoff"] as const) {
      if (definitions.get(name)?.[option] !== undefined) ignored.push(`'${option}' of job '${name}'`);
    }
  }
  if (ignored.length === 0) return;
  const error = new Error(
    `The ${transport.name} transport retries by itself and ignores ${ignored.join(", ")}`,
  );
  events.emit("error", { error, during: "starting a worker" });
}

/** Tells that a worker reads no queue, as an `error` event: it would be silent for ever. */
export function tellHandlerless({ bench: { events }, drain }: State): void {
  const error = new Error(READS_NOTHING);
  events.emit("error", { error, during: drain === undefined ? "running a worker" : "draining" });
}

/**
 * Tells of queues that a worker reads and finds empty, and that no definition, no handler and no job in the store names,
 * as an `error` event: a misspelt name would look like an empty queue. It is no reason to refuse it, as another program
 * may dispatch to it. `asked` are those that are known, or were told.
 */
export function tellUnknown(state: State, asked: Set<string>): void {
  const { settings: { queues = [] }, bench: { events, knownQueues, callTimeout } } = state;
  for (const queue of queues) {
    if (asked.has(queue)) continue;
    asked.add(queue);
    const action = `find jobs in queue '${queue}'`;
    // A drain ends with this look, and says so first.
    const signal = state.drain === undefined ? state.ending.signal : undefined;
    const known = knownQueues.ensure(queue, action, { deadline: callTimeout, signal });
    aside(
      state,
      known.catch((error) => {
        // A store that is away is told as such, and is asked by the next look.
        if (!(error instanceof UnknownQueueError)) asked.delete(queue);
        else {events.emit("error", {
            error,
            during: state.drain === undefined ? "running a worker" : "draining",
          });}
      }),
    );
  }
}
