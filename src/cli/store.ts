/**
 * The store that a command works on.
 *
 * @module
 */

import type { Jobs } from "../jobs/definitions.ts";
import { messageOf } from "../errors.ts";
import type { Desk } from "../operate/operation.ts";
import type { Relay } from "../relay/relay.ts";
import { systemRuntime } from "../runtime.ts";
import type { Given } from "./arguments.ts";
import { type Terminal, UsageError } from "./terminal.ts";

/** A store that is opened when it is asked for, and closed with the command. */
export interface Store {
  open(): Promise<Desk>;
  close(): Promise<void>;
}

/** Without definitions every queue is one that only the store knows. */
export function createStore({ env = {}, signal }: Terminal, given: Given): Store {
  let opened: Relay<Jobs> | undefined;
  return {
    async open() {
      if (opened !== undefined) return { relay: opened, now: systemRuntime().now };
      const url = await urlOf(env, given);
      const { connect } = await import("../connect.ts");
      // The dangers of a store's settings are told by `relevo doctor`, and not by each command.
      // No command of this store makes one: a path with a slip of the pen would be a new store, and an empty one.
      const options = { warn: () => undefined, create: false, ...(signal === undefined ? {} : { signal }) };
      const transport = await connected(() => connect(url, options));
      const { cron } = await import("../cron/mod.ts");
      const { createRelay } = await import("../relay/relay.ts");
      opened = createRelay({ jobs: {}, transport, log: false, recurrences: [cron] });
      return { relay: opened, now: systemRuntime().now };
    },
    async close() {
      await opened?.close();
    },
  };
}

/**
 * The store's URL: an option of this command goes before a variable of the shell.
 *
 * @throws {UsageError} when nothing says it, or the configuration is wrong or has no such entry.
 */
async function urlOf(env: Readonly<Record<string, string | undefined>>, given: Given): Promise<string> {
  const url = given.text("url");
  if (url !== undefined && url !== "") return url;
  const config = given.text("config");
  if (config !== undefined) {
    const { relays } = await import("../config/mod.ts");
    try {
      const entry = await relays({ jobs: {}, config }).settings(given.text("queue") ?? "default");
      return entry.url ?? "redis:";
    } catch (cause) {
      throw new UsageError(messageOf(cause), { cause });
    }
  }
  const { RELEVO_URL = "" } = env;
  if (RELEVO_URL !== "") return RELEVO_URL;
  throw new UsageError("the store is named by none of --url, --config and $RELEVO_URL");
}

/** A fault of a URL is the caller's mistake; one behind it is the store's. */
async function connected<Value>(connect: () => Promise<Value>): Promise<Value> {
  try {
    return await connect();
  } catch (cause) {
    if (cause instanceof TypeError || cause instanceof RangeError) {
      throw new UsageError(cause.message, { cause });
    }
    throw cause;
  }
}
