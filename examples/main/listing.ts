/** Walks a folder, whatever is in it: names are bytes, links to folders are not followed, and nothing is opened. */
import { Buffer } from "node:buffer";
import type { Stats } from "node:fs";
import { lstat, readdir, stat } from "node:fs/promises";
import { STATE_FOLDER } from "./store.ts";

/** What the walk left out: how often, for each reason. */
export type Skipped = Record<string, number>;

const SLASH = Buffer.from("/");

/**
 * Everything below a folder that is no folder, as paths relative to it, in an order that is always the same. A folder
 * that cannot be read is left out and counted.
 */
export async function* listFiles(folder: string, skipped: Skipped): AsyncGenerator<Buffer> {
  const root = Buffer.from(folder);
  const waiting: Buffer[] = [Buffer.alloc(0)];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    const folders: Buffer[] = [];
    for (const name of await namesIn(absolute(root, at), skipped)) {
      const path = at.length === 0 ? name : Buffer.concat([at, SLASH, name]);
      const kind = await kindOf(absolute(root, path));
      if (kind === "file") yield path;
      else if (kind === "link") count(skipped, "links to folders, not followed");
      else if (name.toString() !== STATE_FOLDER) folders.push(path);
    }
    waiting.push(...folders.reverse());
  }
}

/** Where a listed path is. */
export function absolute(root: Buffer, path: Buffer): Buffer {
  return path.length === 0 ? root : Buffer.concat([root, SLASH, path]);
}

/** A stream in batches. */
export async function* inBatches<T>(items: AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
  let batch: T[] = [];
  for await (const item of items) {
    if (batch.push(item) < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

async function namesIn(path: Buffer, skipped: Skipped): Promise<Buffer[]> {
  try {
    return (await readdir(path, { encoding: "buffer" })).sort(Buffer.compare);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : "unknown error";
    count(skipped, `folders that cannot be read (${code})`);
    return [];
  }
}

/** A folder, a link to one, or anything else: what that is, and whether it is still there, is for its job to say. */
async function kindOf(path: Buffer): Promise<"folder" | "link" | "file"> {
  const isFolder = (stats: Stats): boolean => stats.isDirectory();
  if (await lstat(path).then(isFolder, () => false)) return "folder";
  return await stat(path).then(isFolder, () => false) ? "link" : "file";
}

function count(skipped: Skipped, reason: string): void {
  skipped[reason] = (skipped[reason] ?? 0) + 1;
}
