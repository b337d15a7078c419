/**
 * The index of queues' schedules, so that a question for due ones reads the changes since the last question, and not
 * every schedule. Each change is a message behind the last one that was read; a schedule that was removed leaves no
 * message, and is found to be gone when its tick has come.
 *
 * @module
 */

import type { Context } from "./stream/context.ts";
import type { Stored } from "./stream/message.ts";
import type { QueueStream } from "./stream/queue_stream.ts";
import { pagesOf } from "./stream/read.ts";

/** A schedule as far as its ticks are concerned. */
export interface Entry {
  readonly queueStream: QueueStream;
  readonly key: string;
  readonly tick: number;
  readonly paused: boolean;
}

/** An index of schedules. */
export interface ScheduleIndex {
  /** The schedules of queues, once their changes have been read. */
  look(queues: readonly string[], until: number): Promise<readonly Entry[]>;
  /** A schedule is gone, or was read anew. */
  tell(queueStream: QueueStream, key: string, entry: Entry | undefined): void;
  /** A schedule was put into a queue: a queue that held none is read the next time. */
  expect(queue: string): void;
}

/** The index of one queue. */
interface Book {
  /** When its stream was made: of another one nothing is known. */
  created: number;
  /** The number of the last message that was read. */
  seq: number;
  readonly entries: Map<string, Entry>;
  /** The read under way, which calls share. */
  looking: Promise<void> | undefined;
}

/** Makes an index in which nothing is known; `entryOf` reads a message. */
export function createScheduleIndex(
  context: Context,
  entryOf: (queueStream: QueueStream, message: Stored) => Entry,
): ScheduleIndex {
  const books = new Map<string, Book>();
  let turn = 0;

  async function read(queue: string, book: Book, until: number): Promise<void> {
    const queueStream = await context.streams.find(queue, until);
    if (queueStream === undefined) return;
    if (queueStream.created !== book.created) {
      Object.assign(book, { created: queueStream.created, seq: 0 });
      book.entries.clear();
    }
    const filter = `${queueStream.base}s.>`;
    for await (const page of pagesOf(context, queueStream, filter, { from: book.seq + 1 }, until)) {
      for (const message of page) {
        const entry = entryOf(queueStream, message);
        book.entries.set(entry.key, entry);
        book.seq = message.seq;
      }
    }
  }

  async function refresh(queue: string, until: number): Promise<void> {
    let book = books.get(queue);
    if (book === undefined) {
      book = { created: 0, seq: 0, entries: new Map(), looking: undefined };
      books.set(queue, book);
    }
    const known = book;
    known.looking ??= read(queue, known, until).finally(() => known.looking = undefined);
    await known.looking;
  }

  return {
    async look(queues, until) {
      const empty = queues.filter((queue) => books.get(queue)?.entries.size === 0);
      // Most queues hold none: those are read in turn, so that a worker asks one question a second for all.
      const first = empty[turn++ % Math.max(1, empty.length)];
      await Promise.all(
        queues.filter((queue) => queue === first || !empty.includes(queue))
          .map((queue) => refresh(queue, until)),
      );
      return queues.flatMap((queue) => [...books.get(queue)?.entries.values() ?? []]);
    },
    tell({ queue }, key, entry) {
      const entries = books.get(queue)?.entries;
      if (entry === undefined) entries?.delete(key);
      else entries?.set(key, entry);
    },
    expect(queue) {
      if (books.get(queue)?.entries.size === 0) books.delete(queue);
    },
  };
}
