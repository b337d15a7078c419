/**
 * Names of queues and jobs, ids and headers: checked where it enters, so that every transport can
 * store it.
 *
 * @module
 */

import { MAX_HEADERS, MAX_ID, MAX_NAME } from "./defaults.ts";
import { hasFields } from "./kinds.ts";
import { quote, wrongType } from "./options.ts";

const encoder = new TextEncoder();

/** Parts a topic from its group in the name of a queue; refused in every other name. */
const AT = "@";

/** The UTF-8 bytes of a text. */
export function byteLength(text: string): number {
  return encoder.encode(text).length;
}

/**
 * Refuses a name that some transport could not store: empty, too long, with control characters or half a surrogate
 * pair, or with the `@` that parts a topic from its group. A topic's leaves room for that and for a group.
 */
export function checkName(what: "queue" | "job" | "topic" | "group", name: string, action: string): void {
  checkText(`name of a ${what}`, name, action, what === "topic" ? MAX_NAME - 2 : MAX_NAME);
  if (name.includes(AT)) {
    throw new TypeError(
      `Cannot ${action} as the name of a ${what} must not contain '@': current value is '${name}'`,
    );
  }
}

/** The queue in which a topic's jobs wait while no group is bound to it; to push to it is to publish. */
export function topicQueue(topic: string): string {
  return topic + AT;
}

/** The queue of a group: a copy of each of the topic's jobs. */
export function groupQueue(topic: string, group: string): string {
  return topic + AT + group;
}

/** Those of a plain queue; one object for all, as a worker asks for each job. */
const NO_PARTS: { readonly topic?: string; readonly group?: string } = Object.freeze({});

/** The parts of a queue's name; `group` is empty for a topic's own queue, and both are absent for a plain one. */
export function partsOf(queue: string): { readonly topic?: string; readonly group?: string } {
  const at = queue.indexOf(AT);
  return at < 0 ? NO_PARTS : { topic: queue.slice(0, at), group: queue.slice(at + 1) };
}

/** Refuses a group's name that could not be stored, or not together with its topic's. */
export function checkGroup(topic: string, group: string, action: string): void {
  checkName("group", group, action);
  checkText("name of a group's queue", groupQueue(topic, group), action, MAX_NAME);
}

/** Refuses a text that names no queue: neither a plain one, nor a topic's own, nor a group's. */
export function checkQueueName(queue: string, action: string): void {
  const { topic, group } = typeof queue === "string" ? partsOf(queue) : {};
  if (topic === undefined || group === undefined) return checkName("queue", queue, action);
  checkName("topic", topic, action);
  if (group !== "") checkGroup(topic, group, action);
}

/** Whether a text names a queue: other programs may have written any. */
export function isQueueName(queue: string): boolean {
  try {
    checkQueueName(queue, "read a queue's name");
    return true;
  } catch {
    return false;
  }
}

/** Whether a queue is a topic's own, which is pushed to and never reserved from. */
export function isTopicQueue(queue: string): boolean {
  return queue.endsWith(AT);
}

/** Refuses to reserve from a topic's own queue: the jobs that wait there belong to the first group that is bound. */
export function checkReservable(queue: string): void {
  if (!isTopicQueue(queue)) return;
  throw new TypeError(
    `Cannot reserve jobs as each queue must be a plain one or a group's: current value is '${queue}'`,
  );
}

/** Refuses an id that some transport could not store. Any other text will do, line breaks included. */
export function checkId(id: string, action: string, option = "id"): void {
  if (typeof id !== "string" || id.length === 0) {
    throw wrongType(action, `'${option}'`, "a non-empty string", id);
  }
  // A UTF-16 unit takes at most three bytes, so that most ids need not be encoded here.
  if (id.length * 3 > MAX_ID && byteLength(id) > MAX_ID) {
    throw new RangeError(
      `Cannot ${action} as '${option}' must be at most ${MAX_ID} bytes: current size is ${byteLength(id)}`,
    );
  }
  if (!id.isWellFormed() || id.includes("\0")) {
    throw wrongType(action, `'${option}'`, "well-formed text without NUL", id);
  }
}

/** Whether a text could be an id. */
export function isId(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.isWellFormed() && !value.includes("\0") &&
    (value.length * 3 <= MAX_ID || byteLength(value) <= MAX_ID);
}

/** Refuses a text that can be no job's id; other programs may have given theirs longer ones than a caller may. */
export function checkAnyId(id: string, action: string, option = "id"): void {
  if (typeof id === "string" && id !== "") return;
  throw wrongType(action, `'${option}'`, "a non-empty string", id);
}

/**
 * The beginning of the ids that a store gives to the entries of other programs; refused in every id that a caller
 * gives.
 */
export const NUMBERED = "#";

/** Refuses an id that a caller may not give to a job. */
export function checkOwnId(id: string, action: string): void {
  checkId(id, action);
  if (!id.startsWith(NUMBERED)) return;
  throw new TypeError(
    `Cannot ${action} as 'id' must not begin with '${NUMBERED}', as the ids of other programs' entries do: ` +
      `current value is ${quote(id)}`,
  );
}

/** Refuses headers that are no texts, or too many of them; returns a copy that no caller can change. */
export function checkHeaders(
  headers: Readonly<Record<string, string>>,
  action: string,
): Record<string, string> {
  if (
    typeof headers !== "object" || headers === null || Array.isArray(headers) || !hasFields(headers)
  ) {
    throw wrongType(action, "'headers'", "an object of strings", headers);
  }
  const copy: Record<string, string> = { ...headers };
  let characters = 0;
  for (const name of Object.keys(copy)) {
    const value: unknown = copy[name];
    if (typeof value !== "string") {
      throw new TypeError(
        `Cannot ${action} as header '${name}' must be a string: current value is of type ${typeof value}`,
      );
    }
    characters += name.length + value.length;
  }
  // Each is at most three bytes: of most headers none needs to be encoded to be measured.
  const bytes = characters * 3 <= MAX_HEADERS
    ? 0
    : Object.entries(copy).reduce((sum, [name, value]) => sum + byteLength(name) + byteLength(value), 0);
  if (bytes > MAX_HEADERS) {
    throw new RangeError(
      `Cannot ${action} as 'headers' must be at most ${MAX_HEADERS} bytes: current size is ${bytes}`,
    );
  }
  return copy;
}

/**
 * Refuses a value that is no text of a name's kind: empty, too long, with control characters or half a surrogate pair.
 */
export function checkText(what: string, text: string, action: string, limit: number): void {
  if (typeof text !== "string" || text.length === 0) {
    throw wrongType(action, `the ${what}`, "a non-empty string", text);
  }
  if (text.length * 3 > limit && byteLength(text) > limit) {
    throw new RangeError(
      `Cannot ${action} as the ${what} must be at most ${limit} bytes: current size is ${byteLength(text)}`,
    );
  }
  if (!text.isWellFormed() || /\p{Cc}/u.test(text)) {
    throw wrongType(action, `the ${what}`, "text without control characters", text);
  }
}
