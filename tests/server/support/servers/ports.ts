/** Ports on the loopback interface that nobody listens on. */
import { createServer } from "node:net";

/** Below the range from which systems take the local ports of outgoing connections: a server that is down keeps its. */
const FIRST = 10_240;
const LAST = 32_000;

/**
 * Different ports that were free a moment ago. Another process may take one before it is used: whoever starts a
 * server tries again with others.
 */
export async function freePorts(count: number): Promise<readonly number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST));
    if (!ports.has(port) && await isFree(port)) ports.add(port);
  }
  return [...ports];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen({ port, host: "127.0.0.1", exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
