#!/usr/bin/env node
/**
 * The program `relevo`: the command line over this process.
 *
 * @module
 */

import process from "node:process";
import { run } from "./mod.ts";

/** Ends the command that runs; a second interrupt ends the process at once, as everywhere. */
const interrupt = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => interrupt.abort(new Error(`interrupted by ${signal}`)));
}

const { stdout, stderr, stdin, env } = process;
// A pager or `head` that has seen enough closes the pipe: the command ends then, and that is no fault.
stdout.on("error", (error: Error & { readonly code?: string }) => {
  if (error.code !== "EPIPE") throw error;
  interrupt.abort(error);
});
process.exitCode = await run(process.argv.slice(2), { stdout, stderr, stdin, env, signal: interrupt.signal });
// An answer that was read leaves the terminal's input open.
stdin.unref?.();
