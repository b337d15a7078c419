/**
 * The table of operations.
 *
 * @module
 */

import { deadOperations } from "./dead.ts";
import { jobOperations } from "./jobs.ts";
import type { Operation } from "./operation.ts";
import { queueOperations } from "./queues.ts";
import { storeOperations } from "./doctor.ts";
import { Refusal } from "./refusal.ts";
import { scheduleOperations } from "./schedules.ts";

/** Everything that an operator can do, by name. */
export const operations: ReadonlyMap<string, Operation> = new Map(
  [...queueOperations, ...jobOperations, ...deadOperations, ...scheduleOperations, ...storeOperations].map((
    operation,
  ) => [operation.name, operation]),
);

/**
 * An operation by its name.
 *
 * @throws {Refusal} for a name that no operation has.
 */
export function operationOf(name: string): Operation {
  const found = operations.get(name);
  if (found !== undefined) return found;
  const known = [...operations.keys()].join(", ");
  throw new Refusal("missing", `Cannot run '${name}' as there is no such operation: there are ${known}`);
}
