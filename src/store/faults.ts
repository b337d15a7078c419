/**
 * The error of a store that cannot be used.
 *
 * @module
 */

import { TransportError, type TransportFault } from "../errors.ts";

/** Makes it; `store` is the store's name in messages, `why` completes "Cannot use ... as ...". */
export function cannotUse(store: string, code: TransportFault, why: string, cause?: unknown): TransportError {
  return new TransportError(
    code,
    `Cannot use ${store} as ${why}`,
    cause === undefined ? undefined : { cause },
  );
}
