/**
 * The store that a command works on.
 *
 * @module
 */

import type { Jobs } from "../definitions.ts";
import type { Desk } from "../operate/operation.ts";
import { createRelay, type Relay } from "../relay.ts";
import { systemRuntime } from "../runtime.ts";
import type { Given } from "./arguments.ts";
import { type Terminal, UsageError } from "./terminal.ts";

/** A store that is opened when it is asked for, and closed with the command. */
export interface Store extends AsyncDisposable {
  open(): Promise<Desk>;
}

/** Without definitions every queue is one that only the store knows. */
export function createStore({ env = {}, signal }: Terminal, given: Given): Store {
  let opened: Relay<Jobs> | undefined;
  return {
    async open() {
      if (opened !== undefined) return { relay: opened, now: systemRuntime().now };
      const url = given.text("url") ?? env.RELEVO_URL;
      if (url === undefined || url === "") {
        throw new UsageError("the store is named by none of --url, $RELEVO_URL and --config");
      }
      const { connect } = await import("../connect.ts");
      const transport = await connected(() => connect(url, signal === undefined ? {} : { signal }));
      const { cron } = await import("../cron/mod.ts");
      opened = createRelay({ jobs: {}, transport, log: false, recurrences: [cron] });
      return { relay: opened, now: systemRuntime().now };
    },
    async [Symbol.asyncDispose]() {
      await opened?.close();
    },
  };
}

/** What is wrong with a URL is the caller's mistake; what is wrong behind it is the store's. */
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
