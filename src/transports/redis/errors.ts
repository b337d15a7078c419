/**
 * The meaning of a server's or a connection's error, and above all: whether the command may have been carried out.
 *
 * @module
 */

import {
  messageOf,
  RelevoError,
  TransportBusy,
  TransportError,
  type TransportFault,
  TransportFull,
} from "../../errors.ts";
import { cannotUse } from "../../store/faults.ts";

/** A connection that ended while an answer was awaited: whether the command was carried out is not known. */
export class ConnectionLost extends Error {
  /** `ConnectionLost`, also where a bundler renames the class. */
  override readonly name: string = "ConnectionLost";
  /** Stable, as the codes of `RelevoError`; it is none, as those say that nothing was done. */
  readonly code = "CONNECTION_LOST";

  /** `name` is the transport's; `cause` is the connection's error. */
  constructor(name: string, cause: unknown) {
    super(`The ${name} transport lost its connection before the answer came: ${messageOf(cause)}`, { cause });
  }
}

/** The kind of a server's error; `moved` and `noscript` are handled where the command was sent. */
type Kind = "busy" | "full" | "moved" | "noscript" | TransportFault;

/** The kind by the first word of the server's error. */
const KINDS: Readonly<Record<string, Kind>> = {
  OOM: "full",
  MISCONF: "full",
  LOADING: "busy",
  BUSY: "busy",
  CLUSTERDOWN: "busy",
  TRYAGAIN: "busy",
  MASTERDOWN: "busy",
  UNBLOCKED: "busy",
  NOREPLICAS: "busy",
  MOVED: "moved",
  ASK: "moved",
  NOSCRIPT: "noscript",
  READONLY: "TRANSPORT_READ_ONLY",
  WRONGTYPE: "TRANSPORT_CORRUPT",
  NOPERM: "TRANSPORT_FORBIDDEN",
  NOAUTH: "TRANSPORT_UNAVAILABLE",
  WRONGPASS: "TRANSPORT_UNAVAILABLE",
  DENIED: "TRANSPORT_UNAVAILABLE",
  CROSSSLOT: "TRANSPORT_INCOMPATIBLE",
};

const SAYS: Readonly<Record<TransportFault, string>> = {
  TRANSPORT_READ_ONLY: "the server is a read-only replica",
  TRANSPORT_CORRUPT: "a key of another type is in the way",
  TRANSPORT_INCOMPATIBLE: "the server must be Redis 7.0 or newer, and a Cluster be told as one",
  TRANSPORT_UNAVAILABLE: "the server refuses it",
  TRANSPORT_FORBIDDEN: "its user may not do this",
};

/** A server's errors about a command that its user may not run, or that it does not know, as it may be renamed. */
const FORBIDDEN = [
  /^ERR The user executing the script can't/i,
  /^ERR unknown (command|subcommand)/i,
  /^ERR Unknown Redis command called from script/i,
  /^ERR .*(has|have) no permissions/i,
] as const;

/** The first word of a server's error; undefined for errors of the connection or the driver. */
function wordOf(error: unknown): string | undefined {
  // Sockets' errors have a code; servers' have none, and begin with a word in capitals.
  if (!(error instanceof Error) || error instanceof RelevoError || "code" in error) return undefined;
  return /^[A-Z][A-Z\d_]+(?= |$)/.exec(error.message)?.[0];
}

function kindOf(error: unknown): Kind | undefined {
  const word = wordOf(error);
  if (word === undefined) return undefined;
  const { message } = error as Error;
  if (word !== "ERR") return KINDS[word];
  if (FORBIDDEN.some((pattern) => pattern.test(message))) return "TRANSPORT_FORBIDDEN";
  if (/^ERR (Error compiling script|This instance has cluster)/i.test(message)) {
    return "TRANSPORT_INCOMPATIBLE";
  }
  if (/^ERR max number of clients/.test(message)) return "busy";
  if (/^ERR (AUTH|invalid password|DB index|Client sent AUTH)/.test(message)) return "TRANSPORT_UNAVAILABLE";
  return undefined;
}

/** Whether the server answered, be it with an error. */
export function isAnswer(error: unknown): boolean {
  return wordOf(error) !== undefined;
}

/** Whether the server did nothing, and may do it a moment later. */
export function isPassing(error: unknown): boolean {
  return kindOf(error) === "busy";
}

/** Whether the server is a replica, which it may not have been when the connection was made. */
export function isReplica(error: unknown): boolean {
  return /^(READONLY|MASTERDOWN|UNBLOCKED)$/.test(wordOf(error) ?? "");
}

/** Whether the server refuses it to this user, or does not know the command. */
export function isForbidden(error: unknown): boolean {
  return kindOf(error) === "TRANSPORT_FORBIDDEN";
}

/** Whether a script must be sent whole. */
export function isScriptUnknown(error: unknown): boolean {
  return kindOf(error) === "noscript";
}

/** Where a Cluster sends a command instead. */
export interface Elsewhere {
  /** For this command only: the slot is on its way. */
  readonly ask: boolean;
  readonly address: string;
}

/** Where a Cluster sends a command instead; undefined when it does not. */
export function elsewhereOf(error: unknown): Elsewhere | undefined {
  if (kindOf(error) !== "moved") return undefined;
  const [word, , address = ""] = (error as Error).message.split(" ");
  return { ask: word === "ASK", address };
}

/** Whether to try again is of no use before something is changed: a password, a version, a certificate. */
export function isLasting(error: unknown): boolean {
  if (error instanceof TransportError) {
    return error.code === "TRANSPORT_INCOMPATIBLE" || lastingCause(error.cause);
  }
  return lastingCause(error);
}

function lastingCause(error: unknown): boolean {
  const word = wordOf(error);
  if (word !== undefined) return kindOf(error) !== "busy";
  return error instanceof Error && "code" in error && typeof error.code === "string" &&
    /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO)/.test(error.code);
}

/**
 * The error that a caller sees for an error of the server; it names the transport, never a payload. `source` is that of
 * the script where one was run: of a command in it a server tells the line only.
 */
export function explain(error: unknown, name: string, source = ""): unknown {
  const kind = kindOf(error);
  if (kind === undefined) return error;
  const options = { cause: error };
  const said = saidBy(error);
  if (kind === "busy") return new TransportBusy(`Cannot use ${name} as the server is busy: ${said}`, options);
  if (kind === "full") {
    return new TransportFull(`Cannot store in ${name} as its memory or its disk is full: ${said}`, options);
  }
  if (kind === "TRANSPORT_FORBIDDEN") {
    return cannotUse(name, kind, `${forbidden(messageOf(error), source)}: ${said}`, error);
  }
  const code = kind === "moved" || kind === "noscript" ? "TRANSPORT_INCOMPATIBLE" : kind;
  return cannotUse(name, code, `${SAYS[code]}: ${said}`, error);
}

/** Which command is meant, and why it is of no use. */
function forbidden(message: string, source: string): string {
  const command = commandIn(message, source);
  const what = command === undefined ? "a command" : `'${command.toUpperCase().replace("|", " ")}'`;
  return /unknown/i.test(message)
    ? `its server does not know ${what}, or by another name only`
    : `its user may not run ${what}, or not with these keys or channels`;
}

function commandIn(message: string, source: string): string | undefined {
  // A probe, and the helper `each`, add the command that they asked for.
  const added = /\(command ([A-Z ]+)\)/.exec(message);
  if (added !== null) return added[1];
  const told = /the '([\w|]+)' command/i.exec(message) ?? /unknown (?:sub)?command '?([\w|]+)/i.exec(message);
  if (told !== null) return told[1];
  const line = source.split("\n")[Number(/user_script:(\d+)/.exec(message)?.[1]) - 1] ?? "";
  const [, command, part] = /call\('([A-Z]+)'(?:, '(CREATE|DELCONSUMER|GROUPS|CONSUMERS)')?/.exec(line) ?? [];
  return part === undefined ? command : `${command} ${part}`;
}

/** The error for a server's error that has no kind of its own. Not of a push: it may have been carried out in part. */
export function refusedBy(name: string, error: unknown): TransportError {
  return cannotUse(name, "TRANSPORT_UNAVAILABLE", `its server refuses it: ${saidBy(error)}`, error);
}

/** A server repeats the arguments of a command that it does not know; they may be private. */
function saidBy(error: unknown): string {
  return messageOf(error).replace(/,? with args beginning with:.*$/s, "");
}

/** That no connection could be had; certain, as nothing was sent. */
export function unavailable(name: string, deadline: number, cause: unknown): RelevoError {
  if (cause instanceof RelevoError) return cause;
  const why = cause === undefined ? "none could be made in time" : saidBy(cause);
  const late = `there is no connection to it after ${Math.round(deadline)} ms: ${why}`;
  return cannotUse(name, "TRANSPORT_UNAVAILABLE", late, cause);
}
