/** The one kind of job here: a file to be measured. How it gets its id, how it is dispatched, how it is handled. */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import * as v from "valibot";
import { complete, createRelay, deadLetter, type Relay, type Transport } from "../../mod.ts";
import { absolute, inBatches, listFiles, type Skipped } from "./listing.ts";
import { Hopeless, measure } from "./measure.ts";
import type { Run, Store } from "./store.ts";

/** Jobs of one dispatch. */
const BATCH = 250;
/** Ids may have 1,024 bytes, paths have more. */
const LONGEST = 960;

/** What a job says. */
interface Payload {
  /** Relative to the folder. */
  readonly path: string;
  /** The path in base64, where it is no text. */
  readonly bytes?: string | undefined;
}

/** The queue of all jobs here. */
export const QUEUE = "files";

const schema: v.GenericSchema<Payload> = v.object({ path: v.string(), bytes: v.optional(v.string()) });
const jobs = { "file.measure": { schema, queue: QUEUE } };

export type Files = Relay<{ "file.measure": { schema: typeof schema; queue: string } }>;

/** Whatever a run is about. */
export interface Place {
  readonly files: Files;
  readonly store: Store;
  readonly folder: string;
}

export function createFiles(transport: Transport): Files {
  // Dead jobs stand in the report.
  return createRelay({ jobs, transport, log: { levels: { failed: false } } });
}

/**
 * Stores a job for each file. No job of a run is handled before this has ended once, so that a process that does it again
 * after a kill finds every job of the first time alive, and a live job's id is refused however old it is.
 */
export async function dispatchAll(
  { files, store, folder }: Place,
  run: Run,
  told: (count: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const skipped: Skipped = {};
  let count = 0;
  for await (const paths of inBatches(listFiles(folder, skipped), BATCH)) {
    signal.throwIfAborted();
    // Another process may have listed the folder to its end, and be at work on the jobs already.
    if (store.reread(run).listed) return;
    await files.dispatchMany(
      paths.map((path) => ({ name: "file.measure", ...jobOf(run, path) })),
      { signal },
    );
    told(count += paths.length);
  }
  await store.listed(run, skipped);
}

/** Measures a file and writes the row down in the same transaction in which the job ends: both, or none of them. */
export function handleFiles({ files, store, folder }: Place, limit: number): void {
  const root = Buffer.from(folder);
  files.handle("file.measure", async ({ path, bytes }, { signal, job, attempt, settle }) => {
    const relative = bytes === undefined ? Buffer.from(path) : Buffer.from(bytes, "base64");
    // What it throws is worth another attempt, and the policy of retries gives it one.
    const measured = await measure(absolute(root, relative), limit, signal);
    if (measured instanceof Hopeless) return deadLetter({ reason: measured.reason, error: measured });
    await store.transact(async (db) => {
      // Fenced: a worker that lost the job in the meantime gets an error here, and the row is rolled back.
      await settle(db);
      store.insert({ id: job.id, ...measured, attempt, lost: job.lost });
    });
    return complete();
  });
}

/** A job's path, for people. */
export function pathOf(job: { readonly id: string; readonly payload: Uint8Array }): string {
  try {
    return v.parse(schema, JSON.parse(new TextDecoder().decode(job.payload))).path;
  } catch {
    // Another program's job in our queue.
    return job.id.replace(/^\d+:/, "");
  }
}

function jobOf(run: Run, bytes: Buffer): { id: string; payload: { path: string; bytes?: string } } {
  const path = bytes.toString();
  const isText = Buffer.from(path).equals(bytes);
  const payload = isText ? { path } : { path, bytes: bytes.toString("base64") };
  if (isText && bytes.length <= LONGEST) return { id: `${run.id}:${path}`, payload };
  // No relative path begins with a slash.
  return { id: `${run.id}:/${createHash("sha256").update(bytes).digest("hex")}`, payload };
}
