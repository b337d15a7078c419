/**
 * A transport as a relay sees it: one whose calls end, even if it hangs. A half-open connection, or a server that was
 * stopped, may keep an adapter from noticing that its deadline is over; no waiting call may hang with it.
 *
 * A push that its transport bounds by itself is left as it is, and so is `reserve`: the fetch loop has a patience of its
 * own, and gives back late deliveries.
 *
 * @module
 */

import { around } from "../contract/around.ts";
import { isBounded } from "../contract/bounded.ts";
import type { Transport } from "../contract/transport.ts";
import { CALL_TIMEOUT } from "../defaults.ts";
import type { Alarms } from "../flow/alarms.ts";
import { patiently } from "../flow/deadline.ts";

/** Makes one; its timer is one of the alarms. */
export function patient(transport: Transport, alarms: Alarms): Transport {
  return around(transport, (action, call, work) => patiently(alarms, action, call, Promise.resolve(work())), {
    ...(isBounded(transport.push) && { push: (jobs, call) => transport.push(jobs, call) }),
    reserve: (queues, options) => transport.reserve(queues, options),
    [Symbol.asyncDispose]() {
      const closing = Promise.resolve(transport[Symbol.asyncDispose]());
      return patiently(alarms, "close the transport", { deadline: CALL_TIMEOUT }, closing);
    },
  });
}
