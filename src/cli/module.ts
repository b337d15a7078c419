/**
 * A module of the user's that exports a relay.
 *
 * @module
 */

import type { Jobs } from "../jobs/definitions.ts";
import { messageOf } from "../errors.ts";
import type { Relay } from "../relay/relay.ts";
import { UsageError } from "./terminal.ts";

/**
 * Does work with the relay of a module, and closes it. Without `await using`, which Node 22 does not know: it runs this
 * source as it is.
 */
export async function withRelay<Value>(
  path: string,
  work: (relay: Relay<Jobs>) => Promise<Value>,
): Promise<Value> {
  const relay = await relayOf(path);
  try {
    return await work(relay);
  } finally {
    await relay.close();
  }
}

/**
 * Loads the relay of a module: its export `relay`, else its default one.
 *
 * @throws {UsageError} for a file that cannot be loaded, with its cause, and for one that exports no relay.
 */
async function relayOf(path: string): Promise<Relay<Jobs>> {
  let exports: object;
  try {
    const { resolve } = await import("node:path");
    const { pathToFileURL } = await import("node:url");
    exports = await import(pathToFileURL(resolve(path)).href);
  } catch (cause) {
    throw new UsageError(`${JSON.stringify(path)} cannot be loaded: ${messageOf(cause)}`, { cause });
  }
  const found: unknown = "relay" in exports
    ? exports.relay
    : "default" in exports
    ? exports.default
    : undefined;
  const { dispatch, run, close }: Partial<Relay<Jobs>> = Object(found);
  if (typeof dispatch === "function" && typeof run === "function" && typeof close === "function") {
    return found as Relay<Jobs>;
  }
  const names = Object.keys(exports).join(", ") || "nothing";
  throw new UsageError(
    `${JSON.stringify(path)} must export a relay as 'relay' or by default: it exports ${names}`,
  );
}
