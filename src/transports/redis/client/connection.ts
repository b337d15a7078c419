/**
 * One connection of our own to one server: opened, checked, and gone for good when it ends. Nothing in this file
 * connects anew, so that it is always known which command was sent over which connection.
 *
 * @module
 */

import type { Alarm, Alarms } from "../../../flow/alarms.ts";
import { messageOf, TransportBusy, TransportError } from "../../../errors.ts";
import { cannotUse } from "../../../store/faults.ts";
import { argumentsOf, type Client, COMMAND, type Recipe, replyOf, textOf } from "./driver.ts";
import { ConnectionLost, explain, isAnswer, isForbidden, isLasting } from "../errors.ts";
import { factsIn } from "../diagnose.ts";
import type { Argument, Reply } from "./link.ts";

/** A connection that is ready for commands, or has ended. */
export interface Connection {
  readonly alive: boolean;
  /** It was ended because another node serves its commands or its channels: nothing else is wrong. */
  readonly moved: boolean;
  /** The facts of the server's INFO; empty where it may not be asked. */
  readonly facts: ReadonlyMap<string, string>;
  /** Rejects with the server's error as it is, or with `ConnectionLost`. */
  send(args: readonly Argument[]): Promise<Reply>;
  /** Hears a shard channel for as long as the connection lasts, or until the answered function is called. */
  subscribe(channel: string, heard: (message: string) => void): Promise<() => Promise<void>>;
  /** An answer is overdue: if nothing at all is heard for a while, the connection counts as dead. */
  suspect(): void;
  /** Another server is to be asked from now on: it ends when the answers are there that are still awaited. */
  retire(): void;
  /** Runs `then` when it ends, however it ended; answers a function that takes this back. */
  whenLost(then: () => void): () => void;
  /** Ends it at once. */
  close(): void;
}

/** How to open one. */
export interface OpenOptions extends Recipe {
  /** The transport's name in messages. */
  readonly name: string;
  readonly alarms: Alarms;
  /** Whether the server must be a node of a Cluster, or must be none. */
  readonly clustered: boolean;
  /** Milliseconds that it may take until it is ready. */
  readonly patience: number;
  /** Ends the attempt. */
  readonly signal: AbortSignal;
}

/** Milliseconds without a sign of life, with an answer overdue, after which a connection counts as dead. */
const SILENCE = 2_000;
/** Milliseconds that a connection that is given up has for the answers that are still awaited. */
const RETIREMENT = 1_000;
/** Milliseconds of silence after which the system checks whether the other side is there; costs no command. */
const KEEP_ALIVE = 10_000;

/** Why a socket is cut; no caller sees it. */
const CUT = new Error("cut");

/** Opens a connection; rejects with the error that keeps it from being used, having left nothing behind. */
export async function openConnection(options: OpenOptions): Promise<Connection> {
  const { name, create, alarms, patience, signal } = options;
  signal.throwIfAborted();
  const cutter = new AbortController();
  const client = create({
    ...options.client,
    RESP: 3,
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: "disabled",
    // Options that the client that was handed over keeps for itself.
    clientSideCache: undefined,
    commandsQueueMaxLength: undefined,
    emitInvalidate: false,
    pingInterval: 0,
    readonly: false,
    socket: {
      keepAliveInitialDelay: KEEP_ALIVE,
      connectTimeout: patience,
      ...options.client.socket,
      reconnectStrategy: false,
      signal: cutter.signal,
    },
  });
  const cut = (): void => {
    client.destroy();
    cutter.abort(CUT);
  };
  const connection = createConnection(name, client, alarms, cut);
  let late = false;
  const alarm = alarms.set(patience, () => {
    late = true;
    connection.close();
  });
  signal.addEventListener("abort", connection.close, { once: true });
  try {
    await client.connect();
    const facts = await factsOf(connection);
    refuse(name, facts, options.clustered);
    for (const [fact, value] of facts) connection.facts.set(fact, value);
    return connection;
  } catch (error) {
    connection.close();
    const other = otherProtocol(connection.reported, name) ?? otherProtocol(error, name);
    if (other !== undefined) throw other;
    if (!late && !isTimeout(error)) throw explainOpening(error, name);
    // A server without TLS reads the handshake as a command, and waits for its end.
    const { tls }: { readonly tls?: unknown } = options.client.socket ?? {};
    const silent = tls === true ? ": this port may be one without TLS" : "";
    const why = `its server does not answer within ${patience} ms${silent}`;
    throw cannotUse(name, "TRANSPORT_UNAVAILABLE", why, error);
  } finally {
    alarm.cancel();
    signal.removeEventListener("abort", connection.close);
  }
}

/** Whether the client gave up by itself, as nothing was answered in the time that it has to connect. */
function isTimeout(error: unknown): boolean {
  const cause = error instanceof ConnectionLost ? error.cause : error;
  return cause instanceof Error && cause.message === "Connection timeout";
}

/** The error that keeps a connection from being made: as it is where it may pass, and as ours where it will not. */
function explainOpening(error: unknown, name: string): unknown {
  const cause = error instanceof ConnectionLost ? error.cause : error;
  if (isAnswer(cause)) return explain(cause, name);
  if (cause instanceof TransportError || !isLasting(cause)) return cause;
  const why = `no secure connection can be made to its server: ${messageOf(cause)}`;
  return cannotUse(name, "TRANSPORT_UNAVAILABLE", why, cause);
}

/** A NATS server's answer to HELLO, and the driver's error about the greeting that it sends first: `INFO {`. */
const NATS_SAYS = /Unknown Protocol Operation|Unknown RESP type 73\b/i;
/** The runtimes' errors of a port that answers a TLS handshake in clear text. */
const CLEAR_TEXT = /wrong.version.number|InvalidContentType/i;

/**
 * The error that something else than Redis, or Redis without TLS, is behind the port; undefined where nothing says so.
 */
function otherProtocol(error: unknown, name: string): TransportError | undefined {
  const cause = error instanceof ConnectionLost ? error.cause : error;
  const said = messageOf(cause);
  const why = NATS_SAYS.test(said)
    ? "this port speaks NATS, not Redis"
    : CLEAR_TEXT.test(said)
    ? "this port does not speak TLS: 'redis:' is the scheme without it, 'rediss:' the one with it"
    : undefined;
  return why === undefined ? undefined : cannotUse(name, "TRANSPORT_INCOMPATIBLE", why, cause);
}

/** A connection whose facts are still being asked for. */
interface Opening extends Connection {
  /** The driver's first error of a broken connection. */
  readonly reported: unknown;
  readonly facts: Map<string, string>;
}

/** One connection's life. */
interface Life {
  readonly name: string;
  readonly alarms: Alarms;
  readonly cut: () => void;
  readonly followers: Set<() => void>;
  alive: boolean;
  /** How many answers came. */
  signs: number;
  suspected: boolean;
  moved: boolean;
  lost: boolean;
  reported: unknown;
  /** Commands that have no answer yet. */
  awaited: number;
  retired: Alarm | undefined;
}

function createConnection(name: string, client: Client, alarms: Alarms, cut: () => void): Opening {
  const life: Life = {
    name,
    alarms,
    cut,
    followers: new Set(),
    alive: true,
    signs: 0,
    suspected: false,
    moved: false,
    lost: false,
    reported: undefined,
    awaited: 0,
    retired: undefined,
  };
  watch(life, client);
  return {
    get alive() {
      return life.alive;
    },
    get moved() {
      return life.moved;
    },
    get reported() {
      return life.reported;
    },
    facts: new Map(),
    send: (args) => tried(life, client.sendCommand(argumentsOf(args), COMMAND), replyOf),
    async subscribe(channel, heard) {
      await tried(life, client.sSubscribe(channel, heard), nothing);
      return () => tried(life, client.sUnsubscribe(channel, heard), nothing);
    },
    suspect: () => suspect(life),
    retire: () => retire(life),
    whenLost(then) {
      if (life.alive) life.followers.add(then);
      else then();
      return () => life.followers.delete(then);
    },
    close: () => lose(life),
  };
}

function watch(life: Life, client: Client): void {
  // Any error that the driver reports, also that of a broken answer, leaves it open to which command an answer belongs.
  client.on("error", (error: unknown) => {
    life.reported ??= error;
    lose(life);
  });
  client.on("end", () => lose(life));
  // A channel's slot went to another node: its listener finds it anew.
  client.on("sharded-channel-moved", () => {
    life.moved = true;
    lose(life);
  });
}

function end(life: Life): void {
  if (!life.alive) return;
  life.alive = false;
  for (const follower of life.followers) follower();
  life.followers.clear();
}

function lose(life: Life): void {
  if (life.lost) return;
  life.lost = true;
  life.retired?.cancel();
  end(life);
  life.cut();
}

function nothing(): void {}

function tried<T, Read>(life: Life, sent: Promise<T>, read: (answer: T) => Read): Promise<Read> {
  life.awaited++;
  return sent.then((answer) => {
    ended(life, true);
    return read(answer);
  }, (error: unknown) => {
    const answered = isAnswer(error);
    ended(life, answered);
    throw answered ? error : new ConnectionLost(life.name, error);
  });
}

function ended(life: Life, answered: boolean): void {
  life.awaited--;
  if (answered) life.signs++;
  if (life.retired !== undefined && life.awaited === 0) lose(life);
}

function suspect(life: Life): void {
  if (life.suspected || !life.alive) return;
  life.suspected = true;
  const before = life.signs;
  life.alarms.set(SILENCE, () => {
    life.suspected = false;
    if (life.signs === before) lose(life);
  });
}

function retire(life: Life): void {
  if (!life.alive) return;
  life.moved = true;
  life.retired = life.alarms.set(RETIREMENT, () => lose(life));
  end(life);
  if (life.awaited === 0) lose(life);
}

/** The facts of the server. One INFO tells version, role, loading and the settings that may lose jobs. */
export async function factsOf(connection: Connection): Promise<ReadonlyMap<string, string>> {
  try {
    return factsIn(textOf(await connection.send(["INFO"])));
  } catch (error) {
    // A user that may not ask is no worse off: a command that does not work says so when it is tried.
    if (!isForbidden(error)) throw error;
    return new Map();
  }
}

/** Refuses a server that is too old, or that is not there yet. */
export function refuse(name: string, facts: ReadonlyMap<string, string>, clustered: boolean): void {
  const version = facts.get("redis_version");
  if (version !== undefined && Number.parseInt(version) < 7) {
    const why = `the server must be Redis 7.0 or newer: current version is ${version}`;
    throw cannotUse(name, "TRANSPORT_INCOMPATIBLE", why);
  }
  if (facts.get("cluster_enabled") === (clustered ? "0" : "1")) {
    const wanted = clustered
      ? "it is told as a Cluster and the server is no node of one"
      : "the server is a node of a Cluster: say 'redis+cluster:', 'nodes' or 'cluster: true'";
    throw cannotUse(name, "TRANSPORT_INCOMPATIBLE", wanted);
  }
  if (facts.get("loading") === "1") {
    throw new TransportBusy(`Cannot use ${name} as the server is loading its data from disk`);
  }
}
