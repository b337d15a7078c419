/**
 * The programs of a page as a plain script, one after another, each in its own folder: what each prints stands behind its
 * folder. The process ends by itself when each has closed what it opened. Arguments: the folders, each with `program.mjs`.
 */
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";

// By one stream: of two the reader may hear the second one first, and count a line to the next program.
console.warn = console.error = console.log;

for (const folder of process.argv.slice(2)) {
  process.chdir(folder);
  console.log(`\0${folder}`);
  await import(pathToFileURL(join(folder, "program.mjs")).href);
}
