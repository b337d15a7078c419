/**
 * A command: its words, options and help, and its work.
 *
 * @module
 */

import type { Desk } from "../operate/operation.ts";
import type { Flags, Given } from "./arguments.ts";
import type { Terminal } from "./terminal.ts";

/** The parts that a command works with. */
export interface Session {
  readonly terminal: Terminal;
  readonly given: Given;
  /** One object a line instead of text for people. */
  readonly json: boolean;
  /** Opens the store that the options name, once; it is closed when the command has ended. */
  open(): Promise<Desk>;
}

/** A command. */
export interface Command {
  /** Its words, as `dead list`. */
  readonly words: string;
  /** The arguments behind its words, in order; all are needed. */
  readonly positionals: readonly string[];
  readonly flags: Flags;
  /** One sentence. */
  readonly about: string;
  /** Lines of the help page, as they are typed. */
  readonly examples: readonly string[];
  /** Does it; its exit code, 0 where it answers nothing. */
  run(session: Session): Promise<number | void>;
}

/** The options of every command that reaches a store. */
export const STORE: Flags = {
  url: { value: "URL", about: "the store, as for `connect`; else that of --config, else $RELEVO_URL" },
  config: { value: "FILE", about: "a file of @relevo/relevo/config, whose entry of the queue has the URL" },
  json: { about: "one JSON object a line, times in milliseconds since the epoch" },
};

/** The option that names a queue. */
export const QUEUE: Flags = {
  queue: { short: "q", value: "NAME", about: "the queue; default: default" },
};

/** Options of a listing. */
export const PAGE: Flags = {
  limit: { value: "N", about: "jobs of one page, 1 to 1000; default: 100" },
  cursor: { value: "CURSOR", about: "the cursor that ended the page before" },
  payload: { about: "show payloads, too" },
};

/** Options that say which jobs. */
export const SELECTION: Flags = {
  id: { value: "ID", many: true, about: "only this job; may be given several times" },
  name: { value: "NAME", about: "only jobs of this name" },
};

/** The option that answers the question before something is removed. */
export const YES: Flags = { yes: { short: "y", about: "remove without a question" } };

/** The option that names dead channels. */
export const CHANNELS: Flags = {
  channels: { short: "c", value: "LIST", about: "dead channels, parted by commas; default: timeout,failed" },
};

/** The options that are there, under the names of an operation's input. */
export function present(entries: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined));
}
