/**
 * A server at a distance: a proxy on the loopback that hands each answer on about a millisecond later, so that every
 * round trip takes that much longer, as between two machines of one data centre.
 *
 * @module
 */

import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import type { Address } from "./address.ts";

/** A proxy that runs. */
export interface Proxy {
  readonly address: Address;
  stop(): Promise<void>;
}

/** A timer may ring half of its step early, and then half of it late: a spin until the instant would take a core. */
const TOLERANCE = 0.5;

/** Stands in front of a server; answers of it come so many milliseconds later. */
export async function proxyOf(address: Address, ms: number): Promise<Proxy> {
  const open = new Set<Socket>();
  const proxy = createServer((client) => {
    const server = connect(address.port, address.host);
    for (const [one, other] of [[client, server], [server, client]] as const) {
      open.add(one.setNoDelay());
      one.once("close", () => {
        open.delete(one);
        other.destroy();
      });
      // The other end hears of it by its own close.
      one.on("error", () => one.destroy());
    }
    client.on("data", (bytes) => void server.write(bytes));
    server.on("data", later(ms, (bytes) => void client.write(bytes)));
  });
  proxy.listen(0, address.host);
  await once(proxy, "listening");
  const bound = proxy.address();
  if (bound === null || typeof bound === "string") throw new Error("The proxy has no port");
  return {
    address: { ...address, port: bound.port },
    async stop() {
      proxy.close();
      for (const socket of open) socket.destroy();
      await once(proxy, "close");
    },
  };
}

/** Hands items on later, in their order; one timer is enough for all of them. */
function later<Item>(ms: number, pass: (item: Item) => void): (item: Item) => void {
  const waiting: { readonly item: Item; readonly due: number }[] = [];
  const ring = (): void => {
    const now = performance.now() + TOLERANCE;
    for (let first = waiting[0]; first !== undefined && first.due <= now; first = waiting[0]) {
      waiting.shift();
      pass(first.item);
    }
    if (waiting.length > 0) setTimeout(ring, 1);
  };
  return (item) => {
    waiting.push({ item, due: performance.now() + ms });
    if (waiting.length === 1) setTimeout(ring, 1);
  };
}
