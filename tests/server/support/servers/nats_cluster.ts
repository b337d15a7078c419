/** A NATS cluster of three nodes with JetStream. */
import { existsSync } from "node:fs";
import { type NatsOptions, type NatsServer, startNats } from "./nats.ts";
import { type Claim, claimPorts } from "./ports.ts";
import { type Together, together } from "./server.ts";

/** The nodes of one cluster. */
export interface NatsCluster extends Together {
  readonly nodes: readonly NatsServer[];
  /** `nats://127.0.0.1:<port>` of each node. */
  readonly urls: readonly string[];
}

/** What of a machine's memory can be used as a disk. */
const SHARED_MEMORY = "/dev/shm";
const NODES = 3;
const TRIES = 5;
const PATIENCE = 60_000;

/**
 * Starts three nodes on one machine; takes some seconds. `brief` for what is not about losing power: the nodes write to
 * memory where that can be had, as each new stream and consumer is synced by three, and one disk is a tenth as fast.
 */
export async function startNatsCluster(
  { brief = false, ...rest }: NatsOptions & { readonly brief?: boolean } = {},
): Promise<NatsCluster> {
  const options = { ...rest, root: brief && existsSync(SHARED_MEMORY) ? SHARED_MEMORY : undefined };
  const name = `relevo-${crypto.randomUUID()}`;
  for (let tries = 1;; tries++) {
    const claim = await claimPorts(NODES);
    const routes = claim.ports;
    const started = await Promise.allSettled(
      routes.map((port) => startNats({ ...options, cluster: { name, port, routes } })),
    );
    const nodes = started.flatMap((each) => each.status === "fulfilled" ? [each.value] : []);
    const cluster = createCluster(nodes, claim);
    try {
      for (const each of started) if (each.status === "rejected") throw each.reason;
      await cluster.healthy();
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      // The port for the others may have been taken meanwhile, which a node alone cannot change.
      if (tries === TRIES || !(error instanceof Error && /in use/i.test(error.message))) throw error;
    }
  }
}

function createCluster(nodes: readonly NatsServer[], claim: Claim): NatsCluster {
  async function healthy(): Promise<void> {
    await Promise.all(nodes.filter((node) => node.pid() !== 0).map(serving));
  }
  const all = together(nodes, healthy);
  return {
    ...all,
    nodes,
    urls: nodes.map(({ url }) => url),
    async [Symbol.asyncDispose]() {
      await all[Symbol.asyncDispose]();
      await claim[Symbol.asyncDispose]();
    },
  };
}

/** Without a leader nobody answers, or answers that it is not ready. */
async function serving(node: NatsServer): Promise<void> {
  const end = performance.now() + PATIENCE;
  for (;;) {
    const client = await node.raw();
    try {
      const silence = new Promise<string>((resolve) => setTimeout(resolve, 250, "silence"));
      const answer = await Promise.race([client.request("$JS.API.INFO"), silence]);
      if (answer !== "silence" && answer !== "" && !("error" in JSON.parse(answer))) return;
    } finally {
      await client[Symbol.asyncDispose]();
    }
    if (performance.now() > end) throw new Error(`Not within ${PATIENCE} ms: JetStream of the cluster`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
