/**
 * Messages of a bare broker: one body, a header line and then exactly the payload's bytes.
 *
 * @module
 */

import { MAX_DELAY, MAX_NAME } from "../../defaults.ts";
import type { PushJob } from "../../jobs/exchange.ts";
import { byteLength } from "../../names.ts";

/** A job on its way, as its body says. */
export interface Message extends Pick<PushJob, "id" | "name" | "payload" | "meta" | "delay" | "at"> {
  /** When it was published, in milliseconds since the epoch by the publisher's clock; with a `delay` only. */
  readonly sent?: number;
}

/** The beginning of Relevo's bodies, and of no other program's. */
const MAGIC = "relevo/1 ";
const NEWLINE = 10;

const encoder = new TextEncoder();
const magic = encoder.encode(MAGIC);

/** The body of a job. */
export function write(job: PushJob, now: number): Uint8Array {
  const { id, name, queue, meta, delay, at, payload } = job;
  const waits = at === undefined && delay !== undefined && delay > 0;
  // Undefined fields are left out.
  const header = {
    id,
    name,
    queue,
    meta,
    at,
    delay: waits ? delay : undefined,
    sent: waits ? now : undefined,
  };
  const line = encoder.encode(`${MAGIC}${JSON.stringify(header)}\n`);
  const body = new Uint8Array(line.length + payload.length);
  body.set(line);
  body.set(payload, line.length);
  return body;
}

/** The job of a body; nothing for one of another program. The bytes are copied, as a broker may use its array again. */
export function read(body: Uint8Array): Message | undefined {
  if (!magic.every((byte, index) => body[index] === byte)) return undefined;
  const end = body.indexOf(NEWLINE);
  const header = end < 0 ? undefined : parse(body.subarray(magic.length, end));
  return header === undefined ? undefined : { ...header, payload: new Uint8Array(body.subarray(end + 1)) };
}

/**
 * How much of its delay a message has still to wait. The clocks of two machines may differ: a wrong one can neither
 * lengthen it nor, for a body that comes at once, shorten it by more than that difference.
 */
export function restOf({ delay, sent }: Message, now: number): number | undefined {
  if (delay === undefined || sent === undefined) return delay;
  // Both readings are rounded down, so that a millisecond between them may not have gone by.
  return Math.min(delay, Math.max(0, delay - Math.max(0, now - sent - 1)));
}

function parse(line: Uint8Array): Omit<Message, "payload"> | undefined {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(line));
  } catch {
    return undefined;
  }
  if (typeof header !== "object" || header === null) return undefined;
  const { id, name, meta, at, delay, sent }: Partial<Record<string, unknown>> = { ...header };
  if (typeof id !== "string" || id === "" || typeof name !== "string" || typeof meta !== "string") {
    return undefined;
  }
  // No transport takes a longer one, and a job that cannot be stored could not be buried either.
  if (byteLength(name) > MAX_NAME) return undefined;
  if (!isWithin(at, -8.64e15, 8.64e15) || !isWithin(delay, 0, MAX_DELAY) || !isWithin(sent, 0, Infinity)) {
    return undefined;
  }
  return {
    id,
    name,
    meta,
    ...(at === undefined ? {} : { at }),
    ...(delay === undefined ? {} : { delay }),
    ...(sent === undefined ? {} : { sent }),
  };
}

function isWithin(value: unknown, least: number, most: number): value is number | undefined {
  return value === undefined || (typeof value === "number" && value >= least && value <= most);
}
