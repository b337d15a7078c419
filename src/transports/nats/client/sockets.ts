/**
 * Sockets of the runtimes, where these and the client leave a fault open: late errors over TCP, refusals that are thrown
 * away over WebSocket, and small messages that Deno holds back.
 *
 * @module
 */

import { hush } from "../../../promises.ts";
import { builtIn, type Runtime } from "../../../runtime.ts";
import type { NatsConnection, NatsSubscription } from "./connection.ts";

/** As much of a socket as is used. */
interface Emitter {
  readonly destroyed: boolean;
  on(event: string, hear: (error?: Error) => void): unknown;
  removeAllListeners: (event?: string) => unknown;
  setNoDelay(on: boolean): unknown;
}

interface Address {
  readonly hostname: string;
  readonly port: number;
}

/** The part of the client's way over TCP that opens sockets. */
interface Opener {
  readonly socket: Emitter;
  readonly tlsName: string;
  readonly options: { readonly tls?: object | null | undefined };
  loadClientCerts(): Promise<object>;
  dial(server: Address): Promise<Emitter>;
  startTLS(): Promise<Emitter>;
  tlsFirst(server: Address): Promise<Emitter>;
}

type Connect = (options: object) => Emitter;

/**
 * Opens the sockets of a way over TCP in the client's stead, as their maker alone can hear them from their first instant
 * on. The client stops listening before it destroys a socket, and between two steps of connecting: an error that comes
 * then, of a server that refuses a certificate or resets the connection, would end the process, and an end be missed.
 */
export function hearSockets(way: object, { sleep }: Pick<Runtime, "sleep">): void {
  const [dial, secure] = ["node:net", "node:tls"].map((module) =>
    builtIn(module, "connect") as Connect | undefined
  );
  if (dial === undefined || secure === undefined || !("startTLS" in way)) return;
  const client = way as Opener;
  const opened = async (connect: Connect, where: object, event: string): Promise<Emitter> => {
    const socket = connect(where);
    keepHearing(socket);
    if (!("socket" in where)) socket.setNoDelay(true);
    let fault: Error | undefined;
    await new Promise<void>((resolve, reject) => {
      socket.on("error", (error) => fault ??= error);
      socket.on("close", () => reject(fault));
      socket.on(event, () => resolve());
    });
    // The client hears no end that comes in the turn in which a socket opens.
    await sleep(0);
    if (socket.destroyed) throw fault;
    return socket;
  };
  const secured = async (where: object): Promise<Emitter> => {
    const { tlsName: servername, options: { tls } } = client;
    const given = tls === undefined || tls === null ? {} : { ...tls, ...await client.loadClientCerts() };
    return await opened(secure, { ...where, servername, ...given }, "secureConnect");
  };
  client.dial = ({ hostname: host, port }) => opened(dial, { host, port }, "connect");
  client.startTLS = () => secured({ socket: client.socket });
  client.tlsFirst = ({ hostname: host, port }) => secured({ host, port });
}

function keepHearing(socket: Emitter): void {
  const hear = (): void => {};
  const { removeAllListeners } = socket;
  socket.removeAllListeners = (event) => {
    removeAllListeners.apply(socket, event === undefined ? [] : [event]);
    socket.on("error", hear);
    return socket;
  };
  socket.on("error", hear);
}

/** A socket as the client wants it. */
export interface Socket {
  readonly socket: WebSocket;
  readonly encrypted: boolean;
}

/**
 * Opens a WebSocket; messages of the first turn go out together when that is over. The client sends credentials and a
 * ping, and a server that refuses credentials ends the connection when it has read them: a message that it has not read
 * by then makes the client's system throw away the refusal, and no error says why the connection ended.
 */
export function openSocket(url: string): Socket {
  const socket = new WebSocket(url);
  const send = socket.send.bind(socket);
  const held: ArrayBuffer[] = [];

  function begin(): void {
    if (socket.send === send) return;
    socket.send = send;
    send(joined(held));
  }

  socket.send = (data) => {
    if (data instanceof ArrayBuffer) {
      if (held.push(data) === 1) void Promise.resolve().then(begin);
    } else {
      begin();
      send(data);
    }
  };
  return { socket, encrypted: /^wss:/i.test(url) };
}

function joined(parts: readonly ArrayBuffer[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((size, { byteLength }) => size + byteLength, 0));
  let at = 0;
  for (const part of parts) {
    all.set(new Uint8Array(part), at);
    at += part.byteLength;
  }
  return all;
}

/** Whether WebSockets of this runtime hold small messages back: Deno leaves Nagle's algorithm on for them. */
export function holdsBack(): boolean {
  return "Deno" in globalThis;
}

/**
 * The same connection; messages that are sent in one turn have a ping behind them. With its answer comes the
 * acknowledgement of the server's system, without which the next small message is held back for some 40 ms: two calls
 * that are not answered at once, as pulls are not, took 44 ms, and take 1 ms so (Deno 2.9).
 */
export function prompt(connection: NatsConnection): NatsConnection {
  let due = false;

  /** Asked for before the client puts anything in its buffer, so that it sends none without. */
  function ping(): void {
    if (due) return;
    due = true;
    void Promise.resolve().then(() => {
      due = false;
      hush(connection.flush());
    });
  }

  function prompted(subscription: NatsSubscription): NatsSubscription {
    return {
      unsubscribe() {
        ping();
        subscription.unsubscribe();
      },
      drain() {
        ping();
        return subscription.drain();
      },
    };
  }

  return {
    get info() {
      return connection.info;
    },
    publish(subject, payload, options) {
      ping();
      connection.publish(subject, payload, options);
    },
    subscribe(subject, options) {
      ping();
      return prompted(connection.subscribe(subject, options));
    },
    status: () => connection.status(),
    flush: () => connection.flush(),
    close: () => connection.close(),
    closed: () => connection.closed(),
    isClosed: () => connection.isClosed(),
  };
}
