/**
 * Middlewares for the list `use` of a relay or of a handler.
 *
 * @example
 * ```ts
 * import { createRelay } from "@relevo/relevo";
 * import { recovery, requestId } from "@relevo/relevo/middleware";
 * import * as v from "valibot";
 *
 * const relay = createRelay({ jobs: { tidy: v.object({}) }, use: [recovery(), requestId()] });
 * relay.handle("tidy", (_, { requestId }) => console.log("for request", requestId));
 * await relay.dispatch("tidy", {}, { requestId: "r7" });
 * await relay.drain();
 * await relay.close();
 * ```
 *
 * @module
 */

import { checkKnown } from "../options.ts";
import type { Middleware } from "../sides/middleware.ts";
import { metrics, type MetricStorage } from "./metrics.ts";
import { recovery } from "./recovery.ts";
import { requestId, type RequestIdOptions } from "./request_id.ts";

export { metrics, type MetricStorage } from "./metrics.ts";
export { type OnPanic, recovery, type RecoveryOptions } from "./recovery.ts";
export { requestId, type RequestIdOptions, type RequestStorage } from "./request_id.ts";

/** The options of {@linkcode defaultChain}. */
export interface DefaultChainOptions extends RequestIdOptions {
  /** Where metrics are kept. */
  readonly metrics: MetricStorage;
}

/**
 * The chain that seed 004 puts around every handler: metrics outside, then recovery, then request ids. Spread it into a
 * list of your own to add to it.
 *
 * @throws {TypeError} for an option that is wrong or unknown.
 */
export function defaultChain(
  options: DefaultChainOptions,
): readonly [Middleware, Middleware, Middleware<{ requestId: string }>] {
  checkKnown("make the default chain of middlewares", options, ["metrics", "storage"]);
  const { metrics: storage, ...rest } = options;
  return [metrics(storage), recovery(), requestId(rest)];
}
