/** A store of three servers that is full: all jobs are done once there is room, and nothing is lost. */
import { expect, test } from "vitest";
import type { Transport } from "../../src/contract/transport.ts";
import { job } from "../../src/testing/conformance/lab.ts";
import { nats } from "../../src/transports/nats/mod.ts";
import { becomes } from "../server/support/becomes.ts";
import { fillAndEmpty } from "../server/support/full.ts";
import { startNatsCluster } from "../server/support/servers/nats_cluster.ts";
import { describeOn, owned } from "../server/support/servers/owned.ts";
import {
  accounts,
  accountScenes,
  CALL,
  finish,
  killedWithAll,
  PATIENCE,
  PAYLOAD,
  QUEUE,
  type Store,
  transportOn,
  userOf,
} from "../server/nats/full_scenes.ts";

const MB = 1024 * 1024;

describeOn(["nats"], "A full store of three NATS servers", () => {
  const start = owned(() =>
    startNatsCluster({
      brief: true,
      config: accounts(["free", "killed", "due", "beside", "brim", "held", "failing"], 8),
      auth: userOf("free"),
    })
  );

  /** The store of an account. */
  async function storeOf(account: string, maxBytes?: number): Promise<Store> {
    const { urls } = await start();
    const { user, pass } = userOf(account);
    return {
      urls: urls.map((url) => url.replace("://", `://${user}:${pass}@`)),
      options: { maxBytes, replicas: 3 },
    };
  }

  test("by 'maxBytes': a worker is killed that has all delayed jobs, and all are done", async () => {
    await killedWithAll(await storeOf("free", MB));
  }, PATIENCE);

  accountScenes(storeOf, 3);

  test(
    "by 'maxBytes' while everything fails is emptied when all succeeds, by the worker that was there",
    async () => {
      const { urls, options } = await storeOf("free");
      const transport = nats({ servers: urls, prefix: "failing", ...options, maxBytes: 4 * MB });
      expect(await fillAndEmpty(transport)).toBeGreaterThan(100);
    },
    PATIENCE,
  );
});

describeOn(["nats"], "A full store of three NATS servers whose limit no client knows", () => {
  test("is told, loses nothing, and all jobs are done once the limit is raised", async () => {
    await using cluster = await startNatsCluster({ brief: true, limits: { max_file: 8 * MB } });
    const store: Store = { urls: cluster.urls, options: { replicas: 3 } };
    const prefix = `raised-${crypto.randomUUID()}`;
    const filler = transportOn(store, prefix);
    const stored = await fillUntilTold(filler);
    expect(stored.size).toBeGreaterThan(100);
    for (const node of cluster.nodes) node.relimit({ max_file: 256 * MB });
    await cluster.restart();
    await finish(store, prefix, stored);
    await becomes("a dispatch is stored again", async () => {
      const [pushed] = await filler.push([job({ queue: QUEUE })], CALL);
      return pushed === "stored";
    }, PATIENCE);
    await filler[Symbol.asyncDispose]();
  }, 2 * PATIENCE);
});

/** Pushes jobs until one is refused, in whatever words; the ids of those that were stored. */
async function fillUntilTold(transport: Transport): Promise<ReadonlySet<string>> {
  const stored = new Set<string>();
  const payload = new TextEncoder().encode(JSON.stringify("x".repeat(PAYLOAD)));
  for (let n = 0;; n++) {
    const [pushed] = await transport.push([job({ id: `j${n}`, name: "work", queue: QUEUE, payload })], CALL);
    if (pushed !== "stored") {
      expect(pushed).toMatchObject({ code: expect.stringMatching(/^TRANSPORT_|^DEADLINE_EXCEEDED$/) });
      return stored;
    }
    stored.add(`j${n}`);
  }
}
