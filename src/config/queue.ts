/**
 * Jobs whose definition names no queue, sent to the queue of their relay's name.
 *
 * @module
 */

import type { JobDefinition, Jobs } from "../jobs/definitions.ts";
import { isSchema, type StandardSchema } from "../payload/schema.ts";

/** The same jobs, each with a queue. A topic is left as it is: it is no queue. */
export function withQueue(jobs: Jobs, queue: string): Jobs {
  return Object.fromEntries(Object.entries(jobs).map(([name, written]) => [name, placed(written, queue)]));
}

function placed(written: StandardSchema | JobDefinition, queue: string): StandardSchema | JobDefinition {
  if (isSchema(written)) return { schema: written, queue };
  return written.queue !== undefined || written.topic === true ? written : { ...written, queue };
}
