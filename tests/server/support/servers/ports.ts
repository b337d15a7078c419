/** Ports on the loopback interface that nothing else listens on, for as long as a server of these tests has them. */
import { createSocket, type Socket } from "node:dgram";
import { createServer } from "node:net";

/** Below the range from which systems take the local ports of outgoing connections: a server that is down keeps its. */
const FIRST = 10_240;
const LAST = 32_000;

/** Ports, until they are given back. */
export interface Claim extends AsyncDisposable {
  readonly ports: readonly number[];
}

/**
 * Claims different ports that were free a moment ago. No other process of tests takes one until it is given back, be its
 * server down: each is kept by a socket for datagrams, which no server here has, and which ends with this process. Another
 * program may take one before it is used: a server that is started is tried again with others.
 */
export async function claimPorts(count: number): Promise<Claim> {
  const keepers = new Map<number, Socket>();
  while (keepers.size < count) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST));
    const keeper = keepers.has(port) ? undefined : await keep(port);
    if (keeper === undefined) continue;
    if (await isFree(port)) keepers.set(port, keeper);
    else await closed(keeper);
  }
  return {
    ports: [...keepers.keys()],
    async [Symbol.asyncDispose]() {
      const all = [...keepers.values()];
      keepers.clear();
      await Promise.all(all.map(closed));
    },
  };
}

/** Whether a process of tests has claimed a port. */
export async function isKept(port: number): Promise<boolean> {
  const keeper = await keep(port);
  if (keeper !== undefined) await closed(keeper);
  return keeper === undefined;
}

/** Keeps a port from other processes of tests; undefined where one has it. */
function keep(port: number): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const keeper = createSocket("udp4");
    keeper.once("error", () => {
      keeper.close();
      resolve(undefined);
    });
    keeper.bind({ port, address: "127.0.0.1", exclusive: true }, () => resolve(keeper.unref()));
  });
}

function closed(keeper: Socket): Promise<void> {
  return new Promise((resolve) => keeper.close(() => resolve()));
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen({ port, host: "127.0.0.1", exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
