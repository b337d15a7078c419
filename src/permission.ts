/**
 * Deno's errors of missing permissions.
 *
 * @module
 */

import { TransportError } from "./errors.ts";

/** How Deno must be run so that an error, or its cause, does not come again; undefined for any other error. */
export function permissionOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const kind = /^Requires (read|write|net|env|sys|ffi|run|import|all) access/.exec(error.message)?.[1];
  if (kind === undefined) return permissionOf(error.cause);
  const flags = kind === "read" || kind === "write" ? "--allow-read --allow-write" : `--allow-${kind}`;
  return `Deno was not allowed to (run it with ${flags})`;
}

/** An error of a missing permission as a transport's; any other as it is. `what` is in the way of "Cannot use ...". */
export function explainPermission(error: unknown, what: string): unknown {
  const missing = error instanceof TransportError ? undefined : permissionOf(error);
  if (missing === undefined) return error;
  return new TransportError("TRANSPORT_UNAVAILABLE", `Cannot use ${what} as ${missing}`, { cause: error });
}
