/**
 * Settings without the effect that was meant: options on a transport that retries by itself, and a worker that has
 * nothing to read. Told when a worker starts.
 *
 * @module
 */

import type { WorkerOptions } from "./settings.ts";
import type { Bench, State } from "./state.ts";

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
  const error = new Error(
    "This worker reads no queue as no handler is registered: call 'handle' before it, or give it 'queues'",
  );
  events.emit("error", { error, during: drain === undefined ? "running a worker" : "draining" });
}
