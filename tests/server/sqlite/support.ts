/** What the tests of the SQLite transport share: a folder of their own, jobs, and short calls. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { onTestFinished } from "vitest";
import type { Call, Delivery, PushJob, ReserveOptions } from "../../../src/jobs/exchange.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { sqlite, type SqliteOptions } from "../../../src/transports/sqlite/mod.ts";

export const call: Call = { deadline: 60_000 };
export const now: ReserveOptions = { limit: 1_000, slots: 1_000, lease: 60_000, wait: 0, ...call };

const encoder = new TextEncoder();
let count = 0;

/** A new folder that is gone after the test. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "relevo-sqlite-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A path in a new folder. */
export function newFile(): string {
  return join(folder(), "jobs.db");
}

/** A transport that is closed after the test. */
export function open(options: SqliteOptions): Transport {
  const transport = sqlite(options);
  onTestFinished(async () => await transport[Symbol.asyncDispose]());
  return transport;
}

/** A bare connection that is closed after the test. */
export function connection(path: string): DatabaseSync {
  const database = new DatabaseSync(path);
  onTestFinished(() => database.close());
  return database;
}

export function job(part: Partial<PushJob> = {}): PushJob {
  return { queue: "q", id: `job-${count++}`, name: "n", payload: encoder.encode("{}"), meta: "{}", ...part };
}

/** What a call rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(() => new Error("It did not reject"), (reason: unknown) => reason);
}

export function doneOf({ queue, token }: Delivery): { queue: string; token: string; to: "done" } {
  return { queue, token, to: "done" };
}
