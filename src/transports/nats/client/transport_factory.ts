/**
 * The client keeps one way out for all connections of a process, and reads it whenever one of them dials: the
 * connection that was made last would decide how the others come back. So here is a way that chooses for each
 * connection by itself, and is set again before each dial of ours, as the client's own calls replace it.
 *
 * @module
 */

import { type Asker, askSilent } from "./other_protocol.ts";
import { hearSockets } from "./sockets.ts";

/** How bytes travel, as the client wants it. */
interface Way extends AsyncIterable<Uint8Array> {
  readonly lang: string;
  readonly version: string;
  readonly isClosed: boolean;
  readonly closeError?: Error | undefined;
  connect(server: Server, options: Options): Promise<void>;
  isEncrypted(): boolean;
  send(frame: Uint8Array): void;
  close(error?: Error): Promise<void>;
  disconnect(): void;
  discard(): void;
  closed(): Promise<void | Error>;
  /** Of one of ours: all ways that are known. */
  readonly [KNOWN]?: Known;
}

interface Server {
  readonly src: string;
  readonly hostname: string;
  /** The name that its certificate must bear; empty where it is dialled by an address. */
  readonly tlsName: string;
}

/** A connection's options. */
interface Options {
  readonly tls?: object | undefined;
  /** Of a connection over WebSocket only. */
  readonly wsFactory?: unknown;
}

/** The ways that were found, by their kind. */
interface Known {
  tcp?: () => Way;
  web?: () => Way;
  /** How names are looked up for connections over TCP. */
  resolve?: Resolve;
}

type Resolve = (host: string) => Promise<string[]>;

/** The part of the client's inside that is used. */
export interface Core {
  setTransportFactory(config: {
    readonly factory: () => Way;
    readonly dnsResolveFn: Resolve | undefined;
    readonly urlParseFn: (url: string, encrypted?: boolean) => string;
  }): void;
  getResolveFn(): Resolve | undefined;
  wsUrlParseFn(url: string, encrypted?: boolean): string;
  readonly ProtocolHandler: new (options: object, publisher: object) => {
    readonly transport: Way;
    prepare(): unknown;
  };
}

const KNOWN: unique symbol = Symbol.for("relevo.nats.ways");
const WEB = /^wss?:/i;

/**
 * Makes the function that sets the way of the process; it must be called before and after the client's own calls, and
 * before each dial.
 */
export function createWays(core: Core, asker: Asker): () => void {
  const mine: Known = {};
  return () => {
    const found = current(core);
    const theirs = found?.[KNOWN];
    if (theirs !== undefined) {
      for (const known of [mine, theirs]) Object.assign(known, { ...theirs, ...mine });
      return;
    }
    const resolve = core.getResolveFn();
    if (resolve !== undefined) mine.resolve = resolve;
    if (found !== undefined) {
      const make = (): Way => Reflect.construct(found.constructor, []);
      if (found.lang === "nats.ws") mine.web = make;
      else mine.tcp = make;
    }
    core.setTransportFactory({
      factory: () => either(mine, asker),
      dnsResolveFn: mine.resolve,
      urlParseFn: (url, encrypted) => WEB.test(url) ? core.wsUrlParseFn(url, encrypted) : url,
    });
  };
}

/** One of the ways that are set now. Nothing else tells which they are; it is never dialled. */
function current({ ProtocolHandler }: Core): Way | undefined {
  try {
    const handler = new ProtocolHandler({ servers: ["127.0.0.1"] }, {});
    handler.prepare();
    return handler.transport;
  } catch {
    return undefined;
  }
}

/**
 * A way that is TCP or WebSocket, as the connection wants it that dials. It ends when the client wants that, whether or
 * not the other end is still there: the client's own ways wait until all that was sent has gone out, or until the other
 * end has said that it closes, and a connection that waits for that does not come back.
 */
function either(known: Known, asker: Asker): Way {
  const { promise: closed, resolve } = Promise.withResolvers<void | Error>();
  let inner: Way | undefined;
  let isOpen = false;
  /** Whether the client ended it: then it is not to hear of its end later, when it may have another. */
  let isOver = false;

  function chosen(): Way {
    if (inner === undefined) throw new Error("Cannot use a connection that was not dialled");
    return inner;
  }

  /** An error given as the reason keeps the client's ways from waiting until all has gone out. */
  function end(reason = new Error("The connection was ended")): Promise<void> | undefined {
    isOver = true;
    return inner?.close(reason);
  }

  return {
    [KNOWN]: known,
    get lang() {
      return inner?.lang ?? "";
    },
    get version() {
      return inner?.version ?? "";
    },
    get isClosed() {
      return inner?.isClosed ?? false;
    },
    get closeError() {
      return isOver ? undefined : inner?.closeError;
    },
    async connect(server, options) {
      const web = options.wsFactory !== undefined || WEB.test(server.src);
      if (web && options.tls !== undefined) {
        throw new TypeError("Cannot connect over WebSocket as 'tls' cannot be set for it");
      }
      const make = web ? known.web : known.tcp;
      if (make === undefined) throw new Error("Cannot connect as this way was never opened in the process");
      inner = make();
      if (!web) hearSockets(inner, asker.runtime);
      const connecting = inner.connect(server, addressed(server, options));
      await (web ? connecting : askSilent(inner, connecting, asker));
      isOpen = true;
      void inner.closed().then((error) => isOver ? undefined : resolve(error));
    },
    isEncrypted: () => chosen().isEncrypted(),
    send: (frame) => chosen().send(frame),
    async close(error) {
      const ended = end(error);
      if (isOpen && error === undefined) return await ended;
      // One that failed before it was open would stay there.
      inner?.discard();
    },
    disconnect() {
      void end();
      resolve();
    },
    discard: () => inner?.discard(),
    closed: () => closed,
    [Symbol.asyncIterator]: () => chosen()[Symbol.asyncIterator](),
  };
}

/** Without a name the runtimes compare a certificate with `localhost`, unless the address is told them. */
function addressed({ hostname, tlsName }: Server, options: Options): Options {
  if (options.tls === undefined || tlsName !== "") return options;
  return { ...options, tls: { host: hostname, ...options.tls } };
}
