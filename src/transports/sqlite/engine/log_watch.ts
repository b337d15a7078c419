/**
 * The system's notification of changes to a file (inotify on Linux), where there is one.
 *
 * @module
 */

import { watch } from "node:fs";

/** Begins to watch a file; answers the end of the watching, or undefined where the file cannot be watched. */
export type Watch = (file: string, changed: () => void, failed: () => void) => (() => void) | undefined;

/** Watches by `fs.watch`; keeps no process alive. */
export const watchFile: Watch = (file, changed, failed) => {
  try {
    const watcher = watch(file, { persistent: false }, changed);
    watcher.on("error", failed);
    return () => watcher.close();
  } catch {
    // The file is not there, the system has no more watches, or the process has no right to: checks do without.
    return undefined;
  }
};
