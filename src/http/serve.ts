/**
 * A handler of requests in a server of Node, as other runtimes have one built in.
 *
 * @module
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { checkInteger, checkKnown, wrongType } from "../options.ts";

/** Where {@linkcode serve} listens. */
export interface ServeOptions {
  /** The port; 0: a free one. */
  readonly port: number;
  /** The address. Default 127.0.0.1: this machine alone. */
  readonly hostname?: string | undefined;
}

/** A server that listens. */
export interface Served extends AsyncDisposable {
  /** Where it listens, as `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Ends it: answers under way are given up. */
  close(): Promise<void>;
}

/**
 * Serves a handler by `node:http`, which Deno and Bun have too.
 *
 * @throws {TypeError} for a handler that is no function; RangeError for a port that is none; whatever the system says where it cannot listen.
 */
export async function serve(
  handler: (request: Request) => Response | Promise<Response>,
  options: ServeOptions,
): Promise<Served> {
  if (typeof handler !== "function") throw wrongType("serve", "the handler", "a function", handler);
  checkKnown("serve", options, ["port", "hostname"]);
  const { hostname = "127.0.0.1" } = options;
  const port = checkInteger("serve", "port", options.port, 0, 65_535);
  const { createServer } = await import("node:http");
  const server = createServer((incoming, outgoing) => {
    answer(handler, incoming, outgoing).catch(() => {
      // The connection broke, or its bytes are no request that the web knows.
      if (outgoing.headersSent) outgoing.destroy();
      else outgoing.writeHead(400).end();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, hostname, resolve);
  });
  const address = server.address();
  const bound = typeof address === "object" && address !== null ? address.port : port;
  const close = (): Promise<void> =>
    new Promise((resolve, reject) => {
      server.close((error) => error === undefined ? resolve() : reject(error));
      server.closeAllConnections();
    });
  return { url: `http://${hostname}:${bound}`, close, [Symbol.asyncDispose]: close };
}

/** Bytes of a body that are handed on: more than any handler of ours takes. */
const KEPT = 1_024 * 1_024;

async function answer(
  handler: (request: Request) => Response | Promise<Response>,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const { method = "GET", url = "/", headers } = incoming;
  const given = Object.entries(headers).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, Array.isArray(value) ? value.join(", ") : value]]
  );
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const chunk of incoming) {
    // The handler refuses a body that is too large; the bytes behind that are not kept.
    if (size <= KEPT) chunks.push(new Uint8Array(chunk));
    size += chunk.length;
  }
  const gone = new AbortController();
  outgoing.once("close", () => gone.abort(new Error("the connection was closed")));
  const body = method === "GET" || method === "HEAD" ? null : new Blob(chunks);
  const address = `http://${headers.host ?? "localhost"}${url}`;
  const response = await handler(new Request(address, { method, headers: given, body, signal: gone.signal }));
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  outgoing.end(new Uint8Array(await response.arrayBuffer()));
}
