/** A store of one server that is full by a limit that can be known: all jobs are done, and nothing is restarted. */
import { expect, test } from "vitest";
import { nats } from "../../src/transports/nats/mod.ts";
import { fillAndEmpty } from "../server/support/full.ts";
import { startNats } from "../server/support/servers/nats.ts";
import { describeOn, owned } from "../server/support/servers/owned.ts";
import {
  accounts,
  accountScenes,
  doneWithoutRoom,
  fullWhenDue,
  killedWithAll,
  killedWithoutRoom,
  PATIENCE,
  type Store,
  toldBesideWorker,
  userOf,
} from "../server/nats/full_scenes.ts";

const MB = 1024 * 1024;

describeOn(["nats"], "A full store of one NATS server", () => {
  const start = owned(() =>
    startNats({
      config: accounts(["free", "killed", "due", "beside", "brim", "held", "failing"], 2),
      auth: userOf("killed"),
    })
  );

  /** The store of an account. */
  async function storeOf(account: string, maxBytes?: number): Promise<Store> {
    const { url } = await start();
    const { user, pass } = userOf(account);
    return { urls: [url.replace("://", `://${user}:${pass}@`)], options: { maxBytes } };
  }

  test.concurrent(
    "by 'maxBytes': a worker is killed that has all delayed jobs, and all are done",
    async () => {
      await killedWithAll(await storeOf("free", MB));
    },
    PATIENCE,
  );

  accountScenes(storeOf, 1);

  test(
    "by 'maxBytes' while everything fails is emptied when all succeeds, by the worker that was there",
    async () => {
      const { urls } = await storeOf("free");
      const transport = nats({ servers: urls, prefix: "failing", maxBytes: 4 * MB });
      expect(await fillAndEmpty(transport)).toBeGreaterThan(100);
    },
    PATIENCE,
  );
});

describeOn(["nats"], "A full store of one NATS server whose limit no client knows", () => {
  const limits = { max_file: 2 * MB };

  async function on(scene: (store: Store) => Promise<unknown>): Promise<void> {
    await using server = await startNats({ limits });
    await scene({ urls: [server.url], options: {} });
  }

  test.concurrent(
    "a worker is killed that has all delayed jobs, and all are done",
    () => on(killedWithAll),
    PATIENCE,
  );

  test.concurrent(
    "full for a second at the instant at which jobs are due: all are done",
    () => on((store) => fullWhenDue(store, 1)),
    PATIENCE,
  );

  test.concurrent(
    "without room for any move: jobs that failed are done where they lie when they succeed",
    () => on((store) => doneWithoutRoom(store, 1)),
    PATIENCE,
  );

  test.concurrent(
    "without room for any move: a worker is killed that has all jobs, and all are done by another",
    () => on((store) => killedWithoutRoom(store, 1)),
    PATIENCE,
  );

  test.concurrent(
    "is told to a process that only dispatches, which dispatches again when there is room",
    () => on((store) => toldBesideWorker(store, 1)),
    PATIENCE,
  );

  test(
    "full while everything fails is emptied when all succeeds, by the worker that was there",
    () => on(async ({ urls }) => expect(await fillAndEmpty(nats({ servers: urls }))).toBeGreaterThan(100)),
    PATIENCE,
  );
});
