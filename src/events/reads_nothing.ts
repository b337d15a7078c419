/**
 * The text of the event that tells of a worker without queues; in a module of its own, as the command line knows the
 * event by it.
 *
 * @module
 */

/** The message of its error. */
export const READS_NOTHING: string =
  "This worker reads no queue as no handler is registered: call 'handle' before it, or give it 'queues'";
