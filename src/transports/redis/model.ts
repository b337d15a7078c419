/**
 * What jobs are in Redis, and every verb upon them, over a link and without any waiting.
 *
 * @module
 */

import type { Call } from "../../exchange.ts";
import type { Topics, Transport } from "../../transport.ts";
import type { Looks } from "./attempt.ts";

/** The verbs, as {@linkcode Transport} has them; `reserve` is one look at a time. */
export interface Model
  extends
    Looks,
    Pick<Transport, "push" | "extend" | "settle" | "info" | "queues" | "list" | "get" | "reload" | "remove"> {
  readonly topics: Topics;
  /** Takes out this client's consumers that hold nothing, from the queues that it reserved from. */
  leave(call: Call): Promise<void>;
}
