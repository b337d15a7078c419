/** What the user typed: a folder and two options, or one clear line about what is wrong with it. */
import { realpathSync, statSync } from "node:fs";
import { parseArgs } from "node:util";
import { printable } from "./text.ts";

export const USAGE = "npm start [-- [folder] [--fresh] [--limit <MiB>]]";

/** Wrong input: told in one line, exit code 2. */
export class WrongInput extends Error {}

export interface Arguments {
  /** The folder, absolute and without links. */
  readonly folder: string;
  /** Forget an unfinished run. */
  readonly fresh: boolean;
  /** Larger files become dead letters, in bytes. */
  readonly limit: number;
}

const LIMIT = 64;

export function readArguments(args: readonly string[], ownFolder: string): Arguments {
  const { values, positionals } = parse(args);
  if (positionals.length > 1) {
    throw new WrongInput(`Cannot start on ${positionals.length} folders as one is wanted: ${USAGE}`);
  }
  const limit = Number(values.limit ?? LIMIT);
  if (!(limit > 0)) {
    throw new WrongInput(
      `Cannot start as '--limit' must be a positive number of MiB: ${printable(values.limit ?? "")}`,
    );
  }
  const folder = folderOf(positionals[0] ?? ownFolder);
  return { folder, fresh: values.fresh === true, limit: Math.ceil(limit * 2 ** 20) };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { fresh: { type: "boolean" }, limit: { type: "string" } },
    });
  } catch (error) {
    // The first sentence says what is wrong; the others are about how else it could have been meant.
    const [what = ""] = error instanceof Error ? error.message.split(". ") : [];
    throw new WrongInput(`${printable(what)}: ${USAGE}`);
  }
}

function folderOf(given: string): string {
  try {
    // The empty path is the current folder to some, and most likely a variable that is not set.
    if (given === "") throw new WrongInput(`Cannot start on a folder without a name: ${USAGE}`);
    const path = realpathSync(given);
    if (statSync(path).isDirectory()) return path;
  } catch (error) {
    if (error instanceof WrongInput) throw error;
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    const why = code === "ENOENT"
      ? "it does not exist"
      : code === "ELOOP"
      ? "it is a loop of links"
      : `${code}`;
    throw new WrongInput(`Cannot start on '${printable(given)}' as ${why}`);
  }
  throw new WrongInput(`Cannot start on '${printable(given)}' as it is no folder`);
}
