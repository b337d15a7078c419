/**
 * The client of NATS: imported when it is first used, and connected.
 *
 * @module
 */

import { messageOf, TransportError } from "../../../errors.ts";
import { briefly } from "../../../flow/deadline.ts";
import type { NatsConnection, NatsHeaders, NatsLines } from "./connection.ts";
import { unavailable } from "./errors.ts";
import { filled, WrittenHeaders } from "./headers.ts";
import type { Settings } from "./link.ts";
import { type Core, createWays } from "./transport_factory.ts";
import { holdsBack, openSocket, prompt, type Socket } from "./sockets.ts";

/** A client's module. */
interface Module extends Core {
  connect(options: object): Promise<NatsConnection>;
  wsconnect(options: object): Promise<NatsConnection>;
  headers(): NatsLines;
}

/** A connection, and how headers are made for it of lines that each have their end. */
export interface Opened {
  readonly connection: NatsConnection;
  readonly headersOf: (lines: string) => NatsHeaders;
}

/** Milliseconds between two attempts to come back, and those that are added to them by chance. */
const RECONNECT_WAIT = 100;
const RECONNECT_JITTER = 150;
/** Milliseconds between two checks whether the server still answers; after two without an answer the link is cut. */
const PING_INTERVAL = 2_500;
/** Milliseconds for which a server that has not greeted may answer a question that others than NATS understand, too. */
const ANSWERING = 1_000;
/** Milliseconds for which a server is waited for that has yet to say that it lets a connection go. */
const CLOSING = 1_000;
/** The oldest server that is accepted, and the oldest that our tests ran on. */
const LEAST = "2.12";
const TESTED = "2.15";

/** Connects, or uses the connection that was handed over. */
export async function open(settings: Settings, timeout: number): Promise<Opened> {
  const { connection, servers, credentials, name, runtime } = settings;
  const [scheme] = servers.flatMap((server) => /^wss?:\/\//i.exec(server) ?? []);
  const web = connection !== undefined || scheme !== undefined;
  const module = await load(web ? "@nats-io/nats-core" : "@nats-io/transport-node");
  // Of one that was handed over it is not known whether it is over WebSocket.
  const through = (plain: NatsConnection): NatsConnection => web && holdsBack() ? prompt(plain) : plain;
  if (connection !== undefined) {
    if (connection.isClosed()) {
      throw unavailable("Cannot use NATS as the connection that was handed over is closed");
    }
    checkVersion(connection, settings.warn);
    // The program that made it may have put itself between, as traces do, and change the client's own headers.
    return { connection: through(connection), headersOf: (lines) => filled(module.headers(), lines) };
  }
  const setWay = createWays(module, { runtime, patience: Math.max(timeout / 2, timeout - ANSWERING) });
  const options = {
    ...credentials,
    servers: [...servers],
    name,
    timeout: Math.max(1, Math.ceil(timeout)),
    maxReconnectAttempts: -1,
    reconnectDelayHandler: () => {
      setWay();
      return RECONNECT_WAIT + Math.floor(runtime.random() * RECONNECT_JITTER);
    },
    pingInterval: PING_INTERVAL,
  };
  // Servers that others tell of have no scheme.
  const wsFactory = (url: string): Socket => openSocket(/^wss?:/i.test(url) ? url : `${scheme}${url}`);
  setWay();
  const made = web ? module.wsconnect({ ...options, wsFactory }) : module.connect(options);
  setWay();
  const headersOf = (lines: string): NatsHeaders => new WrittenHeaders(lines);
  const opened = { connection: through(await made), headersOf };
  try {
    checkVersion(opened.connection, settings.warn);
    return opened;
  } catch (error) {
    await leave(settings, opened);
    throw error;
  }
}

/** Ends a connection; one that was handed over stays as it is. */
export async function leave(settings: Settings, { connection }: Opened): Promise<void> {
  if (settings.connection === undefined) await briefly(settings.runtime, CLOSING, connection.close());
}

/** Nothing is known of a server while the connection is broken. */
function checkVersion({ info }: NatsConnection, warn: (message: string) => void): void {
  if (info === undefined || isAtLeast(info.version, TESTED)) return;
  if (isAtLeast(info.version, LEAST)) {
    return warn(
      `NATS ${info.version} is used untested: the oldest server that the tests ran on is ${TESTED}`,
    );
  }
  throw new TransportError(
    "TRANSPORT_INCOMPATIBLE",
    `Cannot use NATS as the server must be ${LEAST} or later: current version is ${info.version}`,
  );
}

function isAtLeast(version: string, least: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [leastMajor = 0, leastMinor = 0] = least.split(".").map(Number);
  return major > leastMajor || (major === leastMajor && minor >= leastMinor);
}

async function load(name: "@nats-io/nats-core" | "@nats-io/transport-node"): Promise<Module> {
  try {
    // Literal names, so that bundlers and registries find them.
    return name === "@nats-io/nats-core"
      ? await import("@nats-io/nats-core/internal") as unknown as Module
      : await import("@nats-io/transport-node") as unknown as Module;
  } catch (cause) {
    throw new TransportError(
      "TRANSPORT_INCOMPATIBLE",
      `Cannot use NATS as the package '${name}' cannot be loaded (npm install ${name}@3): ${
        messageOf(cause)
      }`,
      { cause },
    );
  }
}
