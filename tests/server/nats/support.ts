/** Transports whose process may die between two of its writes, or stand still there; and what lies in streams. */
import { Buffer } from "node:buffer";
import { connect } from "@nats-io/transport-node";
import { type Runtime, systemRuntime } from "../../../src/runtime.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { nats, type NatsConnection, type NatsMessage } from "../../../src/transports/nats/mod.ts";
import type { NatsServer } from "../support/servers/nats.ts";

/** Such a transport. */
export interface Cutting {
  readonly transport: Transport;
  /** Does something of which nothing reaches the server. */
  mute<T>(call: () => Promise<T>): Promise<T>;
  /**
   * Does something, and lets the process die at the first message of a kind; an acknowledgement unless told otherwise.
   * What was sent before has reached the server.
   */
  cut(call: () => Promise<unknown>, dies?: (subject: string, data: string) => boolean): Promise<void>;
}

/** Makes one, on a connection of its own. */
export async function cutting(url: string, prefix: string, ackWait: number): Promise<Cutting> {
  const real = await connect({ servers: url.replace("nats://", ""), reconnect: false });
  let dies: ((subject: string, data: string) => boolean) | undefined;
  const { promise: dead, resolve: die } = Promise.withResolvers<void>();
  let isDead = false;
  let isMute = false;
  const connection = new Proxy(real, {
    get(target, key) {
      if (key !== "publish") {
        const value: unknown = Reflect.get(target, key);
        return typeof value === "function" ? value.bind(target) : value;
      }
      return (...parts: Parameters<typeof real.publish>) => {
        const [subject, data = ""] = parts;
        const text = typeof data === "string" ? data : new TextDecoder().decode(data);
        if (!isDead && dies?.(subject, text) === true) {
          isDead = true;
          die();
        }
        if (!isDead && !isMute) target.publish(...parts);
      };
    },
  });
  const transport = nats({ connection: connection as NatsConnection, prefix, ackWait });
  return {
    transport,
    async mute(call) {
      isMute = true;
      try {
        return await call();
      } finally {
        isMute = false;
      }
    },
    async cut(call, kind = (subject) => subject.startsWith("$JS.ACK.")) {
      dies = kind;
      await Promise.race([dead, call().then(() => dead)]);
      await real.flush();
      await real.close();
      await transport[Symbol.asyncDispose]();
    },
  };
}

/** A transport that can stand still before a message of a kind is sent. */
export interface Halting extends AsyncDisposable {
  readonly transport: Transport;
  /** Does something up to the first message that fits; resolves there, with what goes on. */
  halt<T>(
    call: () => Promise<T>,
    fits: (subject: string, data: string) => boolean,
  ): Promise<() => Promise<T>>;
}

/** Makes one, on a connection of its own. */
export async function halting(
  url: string,
  prefix: string,
  ackWait: number,
  credentials: { readonly user?: string; readonly pass?: string } = {},
): Promise<Halting> {
  const real = await connect({ servers: url.replace("nats://", ""), ...credentials });
  let fits: ((subject: string, data: string) => boolean) | undefined;
  let halted: (() => void) | undefined;
  let held: (() => void)[] | undefined;
  const connection = new Proxy(real, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (key !== "publish") return typeof value === "function" ? value.bind(target) : value;
      return (...parts: Parameters<typeof real.publish>) => {
        const [subject, data = ""] = parts;
        const text = typeof data === "string" ? data : new TextDecoder().decode(data);
        if (fits?.(subject, text) !== true) return target.publish(...parts);
        held?.push(() => target.publish(...parts));
        halted?.();
      };
    },
  });
  const transport = nats({ connection: connection as NatsConnection, prefix, ackWait });
  return {
    transport,
    async halt(call, kind) {
      held = [];
      fits = kind;
      const { promise, resolve } = Promise.withResolvers<void>();
      halted = resolve;
      const done = call();
      done.catch(() => undefined);
      await promise;
      return () => {
        fits = undefined;
        for (const send of held ?? []) send();
        return done;
      };
    },
    async [Symbol.asyncDispose]() {
      await transport[Symbol.asyncDispose]();
      await real.close();
    },
  };
}

/** A connection of which the server's words overtake its jobs, as those of several servers may. */
export interface HeldJobs {
  readonly connection: NatsConnection;
  /** Holds back all jobs but so many; returns what lets them come. */
  hold(after: number): () => void;
}

/** Makes one, to a server that may say that it is one of several. */
export async function heldJobs(
  url: string,
  { several = false }: { readonly several?: boolean } = {},
): Promise<HeldJobs> {
  const real: NatsConnection = await connect({ servers: url });
  let held: (() => void)[] | undefined;
  let passes = 0;
  const subscribe: NatsConnection["subscribe"] = (subject, { callback }) => {
    let listens = true;
    const hear = (error: Error | null, message: NatsMessage): void => {
      if (listens) callback(error, message);
    };
    const subscription = real.subscribe(subject, {
      callback(error, message) {
        const isJob = (message.reply ?? "").startsWith("$JS.ACK.");
        if (isJob && held !== undefined && --passes < 0) held.push(() => hear(error, message));
        else hear(error, message);
      },
    });
    return {
      unsubscribe() {
        listens = false;
        subscription.unsubscribe();
      },
      drain: () => subscription.drain(),
    };
  };
  const connection = new Proxy(real, {
    get(target, key) {
      if (key === "subscribe") return subscribe;
      if (key === "info" && several) return { ...target.info, cluster: "several" };
      const value: unknown = Reflect.get(target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return {
    connection,
    hold(after) {
      held = [];
      passes = after;
      return () => {
        for (const go of held ?? []) go();
        held = undefined;
      };
    },
  };
}

/** A message as it lies in a stream, or as it went by. */
export interface Letter {
  readonly subject: string;
  /** Its number in its stream; 0 of one that went by. */
  readonly seq: number;
  /** What our header line says, parsed; undefined when it has none. */
  readonly relevo: unknown;
  /** The names of its other header lines, and what they say. */
  readonly lines: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** All that lies in a stream, in its order, as the server's own API tells it, but for its first message, which stays. */
export async function lettersIn(server: NatsServer, stream: string): Promise<readonly Letter[]> {
  await using raw = await server.raw();
  const found: Letter[] = [];
  for (let seq = 1;;) {
    const question = JSON.stringify({ seq, next_by_subj: ">" });
    const { message, error } = JSON.parse(await raw.request(`$JS.API.STREAM.MSG.GET.${stream}`, question));
    if (error?.err_code === NO_MESSAGE) return found;
    if (error !== undefined) throw new Error(`Cannot read '${stream}': ${error.description}`);
    const { subject, hdrs = "", data = "" } = message;
    const [, ...lines] = Buffer.from(hdrs, "base64").toString().split("\r\n").filter((line) => line !== "");
    const pairs = lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]);
    const body = new Uint8Array(Buffer.from(data, "base64"));
    if (!subject.endsWith(".o.first")) found.push(letterOf(subject, message.seq, pairs, body));
    seq = message.seq + 1;
  }
}

/** What is published under a prefix, in its order, from the moment on in which somebody begins to listen. */
export async function overhear(
  server: NatsServer,
  prefix: string,
): Promise<AsyncDisposable & { readonly letters: readonly Letter[] }> {
  const connection = await connect({ servers: server.url.replace("nats://", "") });
  const letters: Letter[] = [];
  connection.subscribe(`${prefix}.>`, {
    callback(_, { subject, headers, data }) {
      const pairs = [...headers ?? []].map(([name, [text = ""]]) => [name, text]);
      letters.push(letterOf(subject, 0, pairs, new Uint8Array(data)));
    },
  });
  await connection.flush();
  return { letters, [Symbol.asyncDispose]: () => connection.close() };
}

/** The server's number for a message that is not there. */
const NO_MESSAGE = 10037;

function letterOf(
  subject: string,
  seq: number,
  pairs: readonly (readonly string[])[],
  body: Uint8Array,
): Letter {
  const { Relevo, ...lines } = Object.fromEntries(pairs.map(([name = "", text = ""]) => [name, text.trim()]));
  return { subject, seq, relevo: Relevo ? JSON.parse(Relevo) : Relevo, lines, body };
}

/** Makes the stream of a queue as an operator may: what a queue needs, but for some settings. */
export async function makeStream(
  server: NatsServer,
  prefix: string,
  queue: string,
  settings: object,
): Promise<void> {
  await using raw = await server.raw();
  const config = {
    name: `${prefix}_${queue}`,
    subjects: [`${prefix}.${queue}.>`],
    retention: "workqueue",
    storage: "file",
    allow_direct: true,
    allow_rollup_hdrs: true,
    allow_msg_ttl: true,
    allow_msg_schedules: true,
    allow_atomic: true,
    ...settings,
  };
  const answer = await raw.request(`$JS.API.STREAM.CREATE.${config.name}`, JSON.stringify(config));
  const { error } = JSON.parse(answer);
  if (error !== undefined) throw new Error(`Cannot make '${config.name}': ${error.description}`);
}

/**
 * The real runtime, with a monotonic clock that can be moved, as if the process had slept, or slowed down, so that what
 * a call may take is long enough on a busy machine.
 */
export function sleepyRuntime(): Runtime & { sleepThrough(ms: number): void; slowDown(times: number): void } {
  const real = systemRuntime();
  let [slept, since, speed] = [0, 0, 1];
  return {
    ...real,
    monotonic: () => since + (real.monotonic() - since) * speed + slept,
    sleep: (ms, signal) => real.sleep(ms / speed, signal),
    sleepThrough: (ms) => void (slept += ms),
    slowDown(times) {
      since = real.monotonic();
      speed = 1 / times;
    },
  };
}
