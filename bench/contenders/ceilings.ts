/**
 * The ceilings: what the same work costs without any job logic at all.
 *
 * @module
 */

import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type Contender, type Durability, type Payload, STOPPED, type Subject } from "./contender.ts";

/** An array and a loop of awaits. */
export const array: Contender = { open: () => Promise.resolve(openArray()) };

function openArray(): Subject {
  const waiting: Payload[] = [];
  const handler = async (_: Payload): Promise<void> => {};
  return {
    one: (payload) => waiting.push(payload),
    many: (payloads) => payloads.forEach((payload) => waiting.push(payload)),
    async work(total, concurrency) {
      let next = 0;
      const lane = async (): Promise<void> => {
        while (next < total) {
          const payload = waiting[next++];
          if (payload !== undefined) await handler(payload);
        }
      };
      await Promise.all(Array.from({ length: concurrency }, lane));
      waiting.splice(0, total);
      return STOPPED;
    },
    close: () => Promise.resolve(),
  };
}

/** Rows of one transaction. */
const BATCH = 500;

/** Prepared INSERT, UPDATE ... RETURNING and DELETE on `node:sqlite`, in transactions of 500. */
export const rows: Contender = {
  open: ({ folder, durability }) => Promise.resolve(openRows(folder, durability)),
};

function openRows(folder: string, durability: Durability): Subject {
  const database = new DatabaseSync(join(folder, "rows.db"));
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${durability}; PRAGMA cache_size = -16384;
    CREATE TABLE jobs (seq INTEGER PRIMARY KEY, state INTEGER NOT NULL, payload TEXT NOT NULL);
    CREATE INDEX jobs_state ON jobs (state)`);
  const insert = database.prepare("INSERT INTO jobs (state, payload) VALUES (0, ?)");
  const take = database.prepare(`UPDATE jobs SET state = 1
    WHERE seq IN (SELECT seq FROM jobs WHERE state = 0 ORDER BY seq LIMIT ?) RETURNING seq, payload`);
  const remove = database.prepare("DELETE FROM jobs WHERE seq = ?");
  let gathered: Payload[] = [];
  let flushed: Promise<void> | undefined;
  const transaction = <T>(work: () => T): T => {
    database.exec("BEGIN IMMEDIATE");
    const result = work();
    database.exec("COMMIT");
    return result;
  };
  const store = (payloads: readonly Payload[]): void => {
    for (let start = 0; start < payloads.length; start += BATCH) {
      transaction(() => {
        for (const payload of payloads.slice(start, start + BATCH)) insert.run(JSON.stringify(payload));
      });
    }
  };
  return {
    one(payload) {
      gathered.push(payload);
      flushed ??= new Promise((resolve) =>
        setImmediate(() => {
          const payloads = gathered;
          gathered = [];
          flushed = undefined;
          store(payloads);
          resolve();
        })
      );
      return flushed;
    },
    many: store,
    work(total) {
      for (let left = total; left > 0; left -= BATCH) {
        const taken = transaction(() => take.all(Math.min(BATCH, left)));
        for (const { payload } of taken) JSON.parse(String(payload));
        transaction(() => {
          for (const { seq } of taken) remove.run(Number(seq));
        });
      }
      return Promise.resolve(STOPPED);
    },
    close: () => Promise.resolve(database.close()),
  };
}
