/**
 * What jobs are in Redis, and every verb upon them, over a link and without any waiting.
 *
 * @module
 */

import type { Call } from "../../exchange.ts";
import type { Topics, Transport } from "../../transport.ts";
import { type Looks, REGISTERED } from "./attempt.ts";
import type { Context } from "./context.ts";
import { createKeys, type Naming } from "./keys.ts";
import type { Link } from "./link.ts";
import { createPacker } from "./pack.ts";
import { pushJobs } from "./push.ts";
import { createRegistry } from "./registry.ts";
import { attempt } from "./reserve.ts";
import { extendScript } from "./scripts/extend.ts";
import { pushScript } from "./scripts/push.ts";
import { reserveScript } from "./scripts/reserve.ts";
import { settleScript } from "./scripts/settle.ts";
import { extendAll, settleAll } from "./settle.ts";

/** The verbs, as {@linkcode Transport} has them; `reserve` is one look at a time. */
export interface Model
  extends
    Looks,
    Pick<Transport, "push" | "extend" | "settle" | "info" | "queues" | "list" | "get" | "reload" | "remove"> {
  readonly topics: Topics;
  /** Takes out this client's consumers that hold nothing, from the queues that it reserved from. */
  leave(call: Call): Promise<void>;
}

/** What a model is made of. */
export interface ModelOptions extends Naming {
  /** The transport's name, for errors. */
  readonly name: string;
  /** Tells this client from all others, past ones too: letters, digits, `-` and `_`. */
  readonly instance: string;
  readonly link: Link;
}

/** Makes a model. */
export function createModel(options: ModelOptions): Model {
  const { link, instance, name } = options;
  const keys = createKeys(options);
  const context: Context = {
    name,
    instance,
    link,
    keys,
    pack: createPacker(),
    registry: createRegistry(link, keys.queues),
  };
  const scripts = {
    push: pushScript(options),
    reserve: reserveScript(options),
    settle: settleScript(options),
    extend: extendScript(options),
  };
  return {
    instance,
    bell: (queue) => keys.key(queue, "bell"),
    waiting: (queue) => keys.key(queue, "waiting"),
    next: (queue) => keys.key(queue, "next"),
    attempt: (queues, wanted) => attempt(context, scripts.reserve, queues, wanted),
    push: (jobs, call) => pushJobs(context, scripts.push, jobs, call),
    settle: (settlements, call) => settleAll(context, scripts.settle, settlements, call),
    extend: (leases, call) => extendAll(context, scripts.extend, leases, call),
  };
}
