/**
 * Reading a stream, message by message, and removing messages from it.
 *
 * @module
 */

import { FAULT, isFault, isGone, StreamGone } from "../client/errors.ts";
import type { NatsMessage } from "../client/connection.ts";
import type { Link } from "../client/link.ts";
import { type Kept, keptOf, type Stored, storedOf } from "./message.ts";
import type { QueueStream, StreamInfo } from "./queue_stream.ts";
import { deadFilter, idFilter } from "./subjects.ts";

/** One call on a queue's stream. */
export interface StreamCall {
  readonly link: Link;
  readonly queueStream: QueueStream;
  /** When its time is over, on the monotonic clock. */
  readonly until: number;
}

/** Messages that are asked for at once, and numbers at first where it is not known how many have one. */
const AT_ONCE = 256;
const FIRST_STRIDE = 16;
/** Bytes of messages that are asked for at once. */
const BYTES_AT_ONCE = 512 * 1024;
/**
 * Bytes behind which a page ends. The server sends the message with which they are exceeded, too, and may count a page
 * that has come as waiting while it counts the next: two that end with a message of 400 KB stay below 1 MB.
 */
const PAGE_BYTES = 96 * 1024;
/** Subjects of one of the server's answers. */
const SUBJECTS_PAGE = 100_000;

/** Asks for the state of a stream. */
export function streamInfo(
  link: Link,
  stream: string,
  until: number,
  question?: object,
): Promise<StreamInfo> {
  return link.api(`STREAM.INFO.${stream}`, question, until);
}

/** The subjects of a stream that have messages, of those that a filter lets through. */
export async function subjectsOf(
  { link, queueStream: { stream }, until }: StreamCall,
  filter: string,
): Promise<readonly string[]> {
  const found: string[] = [];
  for (let offset = 0;; offset += SUBJECTS_PAGE) {
    const { state } = await streamInfo(link, stream, until, { subjects_filter: filter, offset });
    const subjects = Object.keys(state.subjects ?? {});
    for (const subject of subjects) found.push(subject);
    if (subjects.length < SUBJECTS_PAGE) return found;
  }
}

/**
 * Asks for a message; undefined when there is none. Of several copies of a stream the nearest would answer a direct
 * get, which may not know a stored message yet, or still know a removed one: so the leader is asked. That is one server
 * for all, it sends a third more bytes, and all servers of the cluster read the question.
 */
export async function storedAt(call: StreamCall, request: object): Promise<Stored | undefined> {
  const { link, queueStream: { stream, rawName, leader, replicas }, until } = call;
  if (replicas > 1) return await ledAt(call, request);
  const subject = link.apiSubject(`DIRECT.GET.${stream}`);
  const message = { subject, data: JSON.stringify(request), leader, again: true };
  return storedOf(await link.request(message, until), rawName);
}

async function ledAt({ link, queueStream, until }: StreamCall, request: object): Promise<Stored | undefined> {
  const { stream, rawName, leader } = queueStream;
  const what = `STREAM.MSG.GET.${stream}`;
  for (;;) {
    try {
      const { message } = await link.api<{ readonly message: Kept }>(what, request, until);
      return keptOf(message, rawName);
    } catch (error) {
      if (isFault(error, FAULT.noMessage)) return undefined;
      if (!isFault(error, FAULT.streamNotFound)) throw error;
      // A server says so, too, of a stream that it leads and has not begun yet.
      await link.elections.elected(leader, until);
    }
  }
}

/** The last message of a subject; it may have wildcards. */
export function lastOf(call: StreamCall, subject: string): Promise<Stored | undefined> {
  return storedAt(call, { last_by_subj: subject });
}

/** The live message of an id, or the message that keeps the id taken. */
export function liveOf(call: StreamCall, id: string): Promise<Stored | undefined> {
  return lastOf(call, idFilter(call.queueStream.base, id));
}

/** The newest dead message of an id. */
export function deadOf(call: StreamCall, id: string): Promise<Stored | undefined> {
  return lastOf(call, deadFilter(call.queueStream.base, "*", id));
}

/** The first message of a subject from a number on. */
export function nextOf(call: StreamCall, subject: string, seq: number): Promise<Stored | undefined> {
  return storedAt(call, { seq, next_by_subj: subject });
}

/** The messages that are read one behind the other. */
export interface Scan {
  readonly filter: string;
  /** The first number, from 1. */
  readonly from?: number;
  readonly to?: number;
  readonly limit?: number;
}

/** The messages that a filter lets through, page by page, each bounded in bytes. */
export async function* pagesOf(
  call: StreamCall,
  filter: string,
  { from = 1, most = AT_ONCE }: { readonly from?: number; readonly most?: number } = {},
): AsyncGenerator<readonly Stored[]> {
  /** Numbers that are asked for behind a message that is there. */
  let stride = FIRST_STRIDE;
  for (let seq = from;;) {
    const page = call.queueStream.replicas > 1
      ? await pageByNumbers(call, filter, seq, Math.min(most, stride))
      : await pageAtOnce(call, filter, seq, most);
    // One without a message costs as much as one with it: where many are gone, fewer are asked for.
    stride = page.messages.length > stride / 2 ? Math.min(AT_ONCE, 2 * stride + 1) : stride >> 1;
    yield page.messages;
    if (page.next === undefined) return;
    seq = page.next;
  }
}

/** The messages that a filter lets through, in their order, as far as they are wanted. */
export async function scan(
  call: StreamCall,
  { filter, from = 1, to = Infinity, limit = Infinity }: Scan,
): Promise<Stored[]> {
  const found: Stored[] = [];
  const most = Math.min(AT_ONCE, limit);
  for await (const page of pagesOf(call, filter, { from, most })) {
    for (const message of page) {
      if (message.seq > to) return found;
      found.push(message);
      if (found.length >= limit) return found;
    }
  }
  return found;
}

/**
 * The last messages that a filter lets through whose numbers are below one, the highest first. The server reads upwards
 * only, so a range of numbers is sought that holds enough of them and not many more, by how many lie behind its begin.
 */
export async function newestBelow(
  call: StreamCall,
  filter: string,
  { below, limit }: { readonly below: number; readonly limit: number },
): Promise<readonly Stored[]> {
  const to = below < Infinity ? below - 1 : (await lastOf(call, filter))?.seq ?? 0;
  const above = await countBehind(call, filter, to + 1);
  /** Widths of ranges that hold too few, and too many. */
  let few = 0;
  let many: number | undefined;
  for (let width = limit; to > 0; width = many === undefined ? 4 * few : Math.ceil((few + many) / 2)) {
    const from = Math.max(1, to - width + 1);
    const count = width === limit ? 0 : await countBehind(call, filter, from) - above;
    if (count > 2 * limit) many = width;
    else if (from > 1 && width > limit && count < limit) few = width;
    else {
      const found = await scan(call, { filter, from, to, limit: width });
      if (from === 1 || found.length >= limit) return found.reverse().slice(0, limit);
      few = width;
    }
    // Another copy of the stream may have counted messages that are gone.
    if (many !== undefined && many - few <= 1) many = undefined;
  }
  return [];
}

/** The last message of each subject. */
export async function lastOfAll(call: StreamCall, subjects: readonly string[]): Promise<Stored[]> {
  return await readAll(subjects, (subject) => lastOf(call, subject));
}

/** The messages that are read for each of many, as many at once as are likely to fit. */
export async function readAll<T>(
  items: readonly T[],
  read: (item: T) => Promise<Stored | undefined>,
): Promise<Stored[]> {
  const found: Stored[] = [];
  let bytes = 0;
  for (let start = 0, count = 1; start < items.length; start += count) {
    const mean = (bytes + 1) / Math.max(1, found.length);
    count = start === 0 ? 1 : Math.max(1, Math.min(AT_ONCE, 2 * count, Math.floor(BYTES_AT_ONCE / mean)));
    for (const message of await Promise.all(items.slice(start, start + count).map(read))) {
      if (message === undefined) continue;
      bytes += message.payload.length;
      found.push(message);
    }
  }
  return found;
}

/** How many messages a filter lets through from a number on. */
async function countBehind(call: StreamCall, filter: string, seq: number): Promise<number> {
  const { messages, rest } = await pageAtOnce(call, filter, seq, 1);
  return messages.length + rest;
}

/** Messages behind a number, and the number with which the next page begins. */
interface Batch {
  readonly messages: readonly Stored[];
  readonly next: number | undefined;
}

/** One question that the server answers with many messages. */
function pageAtOnce(
  { link, queueStream: { stream, rawName }, until }: StreamCall,
  filter: string,
  seq: number,
  batch: number,
): Promise<Batch & { readonly rest: number }> {
  const subject = link.apiSubject(`DIRECT.GET.${stream}`);
  const question = { seq, next_by_subj: filter, batch, max_bytes: PAGE_BYTES };
  const messages: Stored[] = [];
  return new Promise((resolve, reject) => {
    const end = (then: () => void): void => {
      unwatch();
      inbox.drop();
      then();
    };
    const inbox = link.subscribe((message: NatsMessage) => {
      const stored = storedOf(message, rawName);
      if (stored !== undefined) return void messages.push(stored);
      const { code = 0, description = "" } = message.headers ?? {};
      const last = messages.at(-1);
      if (code === NO_MORE || code === NONE) {
        const rest = Number(message.headers?.get("Nats-Num-Pending") ?? "0");
        return end(() =>
          resolve({ messages, rest, next: last === undefined || rest === 0 ? undefined : last.seq + 1 })
        );
      }
      const said = `the server says '${description}' (${code})`;
      end(() => reject(new StreamGone(`read stream '${stream}'`, said)));
    });
    let unwatch = (): void => undefined;
    unwatch = link.watch(subject, until, (error) => end(() => reject(error)));
    if (link.up) link.send({ subject, data: JSON.stringify(question) }, inbox.subject);
  });
}

/** How the server ends its answers, and says that there are none. */
const NO_MORE = 204;
const NONE = 404;

/** The leader is asked for each by its number. */
async function pageByNumbers(call: StreamCall, filter: string, seq: number, most: number): Promise<Batch> {
  const first = await nextOf(call, filter, seq);
  if (first === undefined) return { messages: [], next: undefined };
  // Behind one that is there more are likely to be: they are asked for at once, as many as fit if all are as large, and
  // in base64.
  const fitting = Math.floor(BYTES_AT_ONCE / (4 / 3 * first.payload.length + 1));
  const numbers = Array.from({ length: Math.min(most, fitting) }, (_, n) => first.seq + 1 + n);
  const all = await Promise.all(numbers.map((number) => storedAt(call, { seq: number })));
  const start = filter.slice(0, -1);
  const rest = all.flatMap((message) => message?.subject.startsWith(start) === true ? [message] : []);
  return { messages: [first, ...rest], next: first.seq + 1 + numbers.length };
}

/** Removes all messages of a subject; how many. */
export async function purge({ link, queueStream, until }: StreamCall, filter: string): Promise<number> {
  const what = `STREAM.PURGE.${queueStream.stream}`;
  return (await link.api<{ readonly purged: number }>(what, { filter }, until)).purged;
}

/** Asks for each of many, so many at once, and so many of their bytes; answers in their order. */
export async function each<T, R>(
  items: readonly T[],
  ask: (item: T) => Promise<R>,
  bytesOf: (item: T) => number = () => 0,
): Promise<R[]> {
  const results: R[] = [];
  while (results.length < items.length) {
    let bytes = 0;
    const next = items.slice(results.length, results.length + AT_ONCE);
    const end = next.findIndex((item, index) => (bytes += bytesOf(item)) > BYTES_AT_ONCE && index > 0);
    results.push(...await Promise.all((end < 0 ? next : next.slice(0, end)).map(ask)));
  }
  return results;
}

/** Removes a message from a stream; false when it is not there any more. */
export async function deleteMessage(
  { link, queueStream: { stream }, until }: StreamCall,
  seq: number,
): Promise<boolean> {
  try {
    await link.api(`STREAM.MSG.DELETE.${stream}`, { seq, no_erase: true }, until);
    return true;
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}
