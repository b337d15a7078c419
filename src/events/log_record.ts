/**
 * One entry of the log: an event as a sentence and as facts. Texts of others are cut and their control characters
 * escaped, so that one event is one line; no payload is read.
 *
 * @module
 */

import { messageOf } from "../errors.ts";
import type { EventMap, EventName, RunDetail } from "./events.ts";

/** The facts of an entry; each is there where its event has it. */
export interface LogFields {
  /** The event's name. */
  readonly event: EventName;
  /** The job's id. */
  readonly id?: string;
  /** The job's name. */
  readonly name?: string;
  /** The job's queue. */
  readonly queue?: string;
  /** The request id that travels with the job. */
  readonly requestId?: string;
  /** Which run it is: 1 for the first. */
  readonly attempt?: number;
  /** Milliseconds that the run took. */
  readonly duration?: number;
  /** Milliseconds before the next run. */
  readonly delay?: number;
  /** Why, in one word. */
  readonly reason?: string;
  /** The error's `code`, where it has one. */
  readonly code?: string;
  /** The error's message, at most 200 characters of it. */
  readonly error?: string;
}

/** An event as it is logged. */
export interface LogRecord {
  readonly message: string;
  readonly fields: LogFields;
  /** It says that all is well again, whatever its type's level is. */
  readonly calm: boolean;
}

/** Characters of an error's message that are logged. */
const MAX_MESSAGE = 200;
/** Reasons of deaths before a run. */
const NEVER_RAN: readonly string[] = ["undecodable", "invalid", "unknown", "lost", "version"];

/** The log's entry of one event: beside the sentence, the facts that not every event has. */
type Tell<Name extends EventName> = (detail: EventMap[Name]) => Told;

interface Told {
  readonly text: string;
  readonly fields?: Omit<LogFields, "event">;
  readonly error?: Error | undefined;
  readonly calm?: boolean;
}

const TELL: { readonly [Name in EventName]: Tell<Name> } = {
  dispatched: ({ id, name, queue, status }) => ({
    text: `${jobText({ id, name, queue })} ${status}`,
    fields: { id, name, queue, reason: status },
  }),
  started: (detail) => ofRun(detail, `started, attempt ${detail.attempt}`),
  completed: (detail) => ofRun(detail, `completed in ${ms(detail.duration)}`),
  retrying: (detail) =>
    ofRun(detail, `failed ${detail.attempt} times, retrying in ${ms(detail.delay)}`, detail.error),
  failed: (detail) => {
    const { attempt, reason, error } = detail;
    const runs = NEVER_RAN.includes(reason) ? attempt - 1 : attempt;
    return ofRun(detail, `failed after ${runs} attempts, aborted (${plain(reason)})`, error);
  },
  rescheduled: (detail) =>
    ofRun(
      detail,
      detail.at === undefined ? `rescheduled in ${ms(detail.delay ?? 0)}` : `rescheduled at ${detail.at}`,
    ),
  released: (detail) => ofRun(detail, `given back (${detail.reason})`),
  stale: ({ id, queue, during }) => ({
    text: `a delivery of job ${plain(id)} in '${plain(queue)}' came too late to ${during}`,
    fields: { id, queue, reason: during },
  }),
  lost: ({ id, queue, lost }) => ({
    text: `job ${plain(id)} in '${plain(queue)}' came back from a lost lease (${lost} by now)`,
    fields: { id, queue },
  }),
  stuck: (detail) => ofRun(detail, `ignores its signal (${detail.reason})`),
  idle: ({ queues }) => ({ text: `nothing to do in ${plain(queues.join(", "))}` }),
  connection: ({ state, error }) => ({
    text: `the transport is ${state === "up" ? "there again" : "away"}`,
    error,
    calm: state === "up",
    fields: { reason: state },
  }),
  tick: ({ key, queue, name, id, result }) => ({
    text: `a tick of schedule '${plain(key)}' in '${plain(queue)}': its job is ${
      result === "duplicate" ? "left out, as that of an earlier tick is live" : result
    }`,
    fields: { id, name, queue, reason: result },
  }),
  missed: ({ key, queue, name, missed, count }) => ({
    text: `${count} ticks of schedule '${plain(key)}' in '${plain(queue)}' were missed (${missed})`,
    fields: { name, queue, reason: missed },
  }),
  queue: ({ queue, state, during, error }) => ({
    text: `queue '${plain(queue)}' ${state === "up" ? "works again" : "does not work"} (${during})`,
    error,
    calm: state === "up",
    fields: { queue, reason: state },
  }),
  error: ({ error, during }) => ({ text: plain(during), error }),
};

/** An event as a sentence and its facts. */
export function recordOf<Name extends EventName>(event: Name, detail: EventMap[Name]): LogRecord {
  const { text, fields, error, calm = false } = TELL[event](detail);
  if (error === undefined) return { message: text, fields: { event, ...fields }, calm };
  const code: unknown = "code" in error ? error.code : undefined;
  const coded = typeof code === "string" || typeof code === "number" ? plain(String(code)) : undefined;
  const message = plain(messageOf(error));
  return {
    message: `${text}: ${coded === undefined ? "" : `${coded} `}${message}`,
    fields: { event, ...fields, ...(coded === undefined ? {} : { code: coded }), error: message },
    calm,
  };
}

/** A text of others as it may stand in a line. */
export function plain(text: string): string {
  const cut = text.length > MAX_MESSAGE ? `${text.slice(0, MAX_MESSAGE).toWellFormed()}...` : text;
  return cut.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => {
    if (character === "\n") return "\\n";
    return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`;
  });
}

function ofRun(detail: RunDetail & Omit<LogFields, "event" | "error">, text: string, error?: Error): Told {
  const { job: { id, name, queue, requestId }, attempt, duration, delay, reason } = detail;
  return {
    text: `${jobText({ id, name, queue })} ${text}`,
    error,
    fields: {
      id,
      name,
      queue,
      requestId,
      attempt,
      ...(duration === undefined ? {} : { duration }),
      ...(delay === undefined ? {} : { delay }),
      ...(reason === undefined ? {} : { reason }),
    },
  };
}

function jobText(
  { id, name, queue }: { readonly id: string; readonly name: string; readonly queue: string },
): string {
  return `job '${plain(name)}' ${plain(id)} in '${plain(queue)}'`;
}

function ms(time: number): string {
  return `${Math.round(time * 1_000) / 1_000} ms`;
}
