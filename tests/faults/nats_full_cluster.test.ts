/** A store of three servers that is full: all jobs are done once there is room, and nothing is lost. */
import { test } from "vitest";
import { startNatsCluster } from "../server/support/servers/nats_cluster.ts";
import { describeOn, owned } from "../server/support/servers/owned.ts";
import {
  accounts,
  accountScenes,
  killedWithAll,
  PATIENCE,
  type Store,
  userOf,
} from "../server/nats/full_scenes.ts";

const MB = 1024 * 1024;

describeOn(["nats"], "A full store of three NATS servers", () => {
  const start = owned(() =>
    startNatsCluster({
      brief: true,
      config: accounts(["free", "killed", "due", "brim", "held", "failing"], 8),
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
});
