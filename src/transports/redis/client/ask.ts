/**
 * One question to one server: sent when there is a connection, and again while the server says that it did nothing and
 * may do it a moment later.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { DeadlineExceeded } from "../../../errors.ts";
import type { Runtime } from "../../../runtime.ts";
import type { Ticket } from "../../../store/calls.ts";
import type { Connection } from "./connection.ts";
import { explain, isPassing, isReplica, isScriptUnknown } from "../errors.ts";
import type { Argument, Reply, Script } from "./link.ts";

/** A command or script to be sent over a connection; a script `whole` once its hash was not known there. */
export type Question = (connection: Connection, whole: boolean) => Promise<Reply>;

/** Where and how to ask. */
export interface Asking {
  readonly name: string;
  readonly runtime: Runtime;
  readonly ticket: Ticket;
  /** Completes "Cannot ...". */
  readonly action: string;
  /** The source of the script that is run, for errors of commands in it. */
  readonly source?: string | undefined;
  /** The connection to ask over; anew for each try. */
  readonly reach: (ticket: Ticket) => Promise<Connection>;
  /** Whether the server's error had another way out, which was followed: then the question is asked again at once. */
  readonly elsewhere?: ((error: unknown, connection: Connection) => Promise<boolean>) | undefined;
}

/** Milliseconds between two tries at a server that is busy, at least and at most. */
const PAUSE_MIN = 100;
const PAUSE_MAX = 1_000;

/** Why a pause ends early. No caller sees it. */
const OVER = "over";

/** Asks until there is an answer, or no caller waits for it any more. */
export async function ask(asking: Asking, question: Question): Promise<Reply> {
  const { name, runtime, ticket, action } = asking;
  let whole = false;
  for (let tries = 0;; tries++) {
    const connection = await asking.reach(ticket);
    if (ticket.over) throw OVER;
    ticket.late = () => {
      connection.suspect();
      return new DeadlineExceeded(action, ticket.deadline);
    };
    ticket.sent = true;
    try {
      return await question(connection, whole);
    } catch (error) {
      ticket.sent = false;
      if (!whole && isScriptUnknown(error)) {
        whole = true;
        continue;
      }
      if (await asking.elsewhere?.(error, connection)) continue;
      if (!isPassing(error)) throw explain(error, name, asking.source);
      ticket.late = () => explain(error, name);
      const pause = Math.min(PAUSE_MAX, PAUSE_MIN * 2 ** Math.min(tries, 8));
      await rest(runtime, pause * (0.5 + runtime.random() / 2), ticket);
    }
  }
}

/** Milliseconds between two connections that are given up as they lead to a replica. */
const DEMOTED = 5_000;

/**
 * Gives up connections that lead to a replica: where a master was demoted, its address may be another's by now. At most
 * one in five seconds, as the server may be meant to be one.
 */
export function createDemotion(runtime: Runtime): NonNullable<Asking["elsewhere"]> {
  let since = -Infinity;
  return (error, connection) => {
    if (!isReplica(error)) return Promise.resolve(false);
    // Calls that were sent over it together are all asked again over the next.
    if (!connection.alive) return Promise.resolve(true);
    if (runtime.monotonic() - since < DEMOTED) return Promise.resolve(false);
    since = runtime.monotonic();
    connection.retire();
    return Promise.resolve(true);
  };
}

/** Sleeps, but not longer than the call lasts; then it rejects. */
export async function rest(runtime: Runtime, ms: number, ticket: Ticket): Promise<void> {
  const controller = new AbortController();
  const stay = ticket.whenOver(() => controller.abort(OVER));
  try {
    await runtime.sleep(ms, controller.signal);
  } finally {
    stay();
  }
}

/**
 * Makes questions of scripts. The first time over a connection a script goes whole, then by its hash: were the hash
 * tried first, a server that does not know it yet would let the calls that were made later overtake this one.
 *
 * In a Cluster each brings one key more, which no client has. For while a slot moves, its keys are spread over two
 * servers, and a script with one key that is missing would be carried out at the server to which the slot moves,
 * although other keys have not come there yet. Of two keys that are missing both servers say that it must be tried
 * again.
 */
export function createScripts(clustered: boolean): (
  script: Script,
  keys: readonly string[],
  args: readonly Argument[],
) => Question {
  const texts = new WeakMap<Script, Text>();
  const sent = new WeakMap<Connection, Set<Script>>();

  function isNew(connection: Connection, script: Script): boolean {
    const known = sent.get(connection);
    if (known?.has(script)) return false;
    if (known === undefined) sent.set(connection, new Set([script]));
    else known.add(script);
    return true;
  }

  function textOf(script: Script): Text {
    let text = texts.get(script);
    if (text === undefined) {
      const source = clustered ? withoutWitness(script.source) : script.source;
      text = { source, hash: createHash("sha1").update(source).digest("hex") };
      texts.set(script, text);
    }
    return text;
  }

  return (script, keys, args) => {
    const { source, hash } = textOf(script);
    const all = clustered ? [...keys, witnessOf(keys[0] ?? "")] : keys;
    return (connection, whole) => {
      const head: Argument[] = isNew(connection, script) || whole ? ["EVAL", source] : ["EVALSHA", hash];
      return connection.send(head.concat(`${all.length}`, all, args));
    };
  };
}

/** A script as it is sent. */
interface Text {
  readonly source: string;
  readonly hash: string;
}

/** A key that no client has, in the slot of one that a client may have. */
function witnessOf(key: string): string {
  return key.includes("{") ? `${key}~` : `{${key}}~`;
}

/** A script that sees its own keys alone; its lines stay where they are. */
function withoutWitness(source: string): string {
  const line = source.startsWith("#!") ? source.indexOf("\n") + 1 : 0;
  return `${source.slice(0, line)}table.remove(KEYS) ${source.slice(line)}`;
}

/** A plain command. */
export function commandQuestion(args: readonly Argument[]): Question {
  return (connection) => connection.send(args);
}
