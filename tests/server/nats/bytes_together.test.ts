/** Large jobs of several queues on one connection: together they bring no more than a server lets wait for it. */
import { connect, createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import { createRelay, type Relay } from "../../../mod.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { free, heard, running } from "../../web/support/kit.ts";
import { becomes } from "../support/becomes.ts";
import { type NatsServer, startNats } from "../support/servers/nats.ts";
import { describeOn } from "../support/servers/owned.ts";

const PATIENCE = 120_000;
const PREFIX = "together";

type Jobs = Record<string, { readonly schema: ReturnType<typeof free<string>>; readonly queue: string }>;

/** A link of which the near end can leave unread what comes, as a thread does that is busy. */
interface Link extends AsyncDisposable {
  readonly url: string;
  /** Reads nothing until the returned function is called. */
  block(): () => void;
}

async function linkTo({ port }: NatsServer): Promise<Link> {
  const fars = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    fars.add(far);
    for (const [end, other] of [[near, far], [far, near]] as const) {
      end.on("data", (chunk) => other.write(chunk));
      // A broken end is seen by its closing.
      end.on("error", () => undefined);
      end.on("close", () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The link has no port");
  return {
    url: `nats://127.0.0.1:${address.port}`,
    block() {
      for (const far of fars) far.pause();
      return () => {
        for (const far of fars) far.resume();
      };
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const far of fars) far.destroy();
      await closed;
    },
  };
}

/** Queues, and a relay that reads them behind a link, beside one that dispatches. */
interface Scene extends AsyncDisposable {
  readonly link: Link;
  readonly near: Relay<Jobs>;
  readonly far: Relay<Jobs>;
  readonly queues: readonly string[];
  /** The queues of the jobs that ended, each once a job. */
  readonly done: string[];
  /** Jobs that lost a lease, settlements that came too late, and connections that the server cut. */
  harm(): Promise<readonly [lost: number, stale: number, cut: unknown]>;
}

async function sceneOn(server: NatsServer, count: number, size: number): Promise<Scene> {
  const queues = Array.from({ length: count }, (_, n) => `queue-${n}`);
  const jobs: Jobs = Object.fromEntries(queues.map((queue) => [queue, { schema: free<string>(), queue }]));
  const link = await linkTo(server);
  const relayOn = async (servers: string): Promise<Relay<Jobs>> => {
    const transport = nats({ servers, prefix: PREFIX, ackWait: 60_000 });
    // How much a server takes it says when it is first reached.
    await transport.queues({ deadline: 60_000 });
    return createRelay({ jobs, transport, maxPayload: size + 100, log: false });
  };
  const near = await relayOn(server.url);
  const far = await relayOn(link.url);
  const done: string[] = [];
  for (const queue of queues) far.handle(queue, () => {});
  far.events.addEventListener("completed", ({ detail }) => done.push(detail.job.queue));
  const lost = heard(far.events, "lost");
  const stale = heard(far.events, "stale");
  return {
    link,
    near,
    far,
    queues,
    done,
    harm: async () => [lost.length, stale.length, (await server.monitor("/varz"))["slow_consumers"]],
    async [Symbol.asyncDispose]() {
      await Promise.all([near, far].map((relay) => relay.close({ grace: 0 })));
      await link[Symbol.asyncDispose]();
    },
  };
}

/** Pulls that wait at the consumers of all queues. */
async function waitingPulls(server: NatsServer, queues: readonly string[]): Promise<number> {
  await using raw = await server.raw();
  let all = 0;
  for (const queue of queues) {
    const { num_waiting } = JSON.parse(await raw.request(`$JS.API.CONSUMER.INFO.${PREFIX}_${queue}.relevo`));
    all += num_waiting;
  }
  return all;
}

const PLACES = [
  { what: "40 queues of 500 KB where 1 MB may wait", config: "max_pending: 1MB", count: 40, size: 500_000 },
  {
    what: "4 queues of 7 MB where 8 MB may wait",
    config: "max_payload: 8MB, max_pending: 8MB",
    count: 4,
    size: 7_000_000,
  },
] as const;

describeOn(["nats"], "Large jobs of several queues of NATS", () => {
  for (const { what, config, count, size } of PLACES) {
    test(`that come at one moment to a worker that is busy: ${what}`, async () => {
      await using server = await startNats({ config: config.replace(", ", "\n") });
      await using scene = await sceneOn(server, count, size);
      const { link, near, far, queues, done } = scene;
      const worker = running(far, { concurrency: 100 });
      await becomes("a pull waits for each queue", async () => await waitingPulls(server, queues) === count);
      const goOn = link.block();
      for (const queue of queues) await near.dispatch(queue, "x".repeat(size));
      await becomes("no pull waits any more", async () => await waitingPulls(server, queues) === 0);
      goOn();
      await becomes("all are done", () => done.length >= count);
      await worker.abort();
      expect([done.toSorted(), await scene.harm()]).toEqual([queues.toSorted(), [0, 0, 0]]);
    }, PATIENCE);

    test(`that wait for as many workers as start at one moment: ${what}`, async () => {
      await using server = await startNats({ config: config.replace(", ", "\n") });
      await using scene = await sceneOn(server, count, size);
      const { near, far, queues, done } = scene;
      for (const queue of queues) await near.dispatch(queue, "x".repeat(size));
      const workers = queues.map((queue) => running(far, { queues: [queue] }));
      await becomes("all are done", () => done.length >= count);
      await Promise.all(workers.map((worker) => worker.abort()));
      expect([done.toSorted(), await scene.harm()]).toEqual([queues.toSorted(), [0, 0, 0]]);
    }, PATIENCE);
  }
});
