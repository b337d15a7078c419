/** Connections of both ways in one process, each of which must come back by its own. */
import { connect, wsconnect } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { job } from "../../../src/testing/conformance/lab.ts";
import type { Transport } from "../../../src/transport.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { type NatsServer, startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";

const CALL = { deadline: 10_000 };
const PATIENCE = 60_000;
const ORDERS = [["url", "ws"], ["ws", "url"]] as const;

describeOn(["nats29"], "TCP and WebSocket in one process", () => {
  const started = owned(() => startNats());

  function open(server: NatsServer, way: "url" | "ws", prefix: string): Transport {
    return nats({ servers: server[way], prefix });
  }

  /** What one transport pushes the other gets, both ways round. */
  async function expectWork(ways: readonly Transport[], id: string): Promise<void> {
    for (const [n, from] of ways.entries()) {
      const to = ways[1 - n] ?? from;
      const queue = `to-${n}`;
      expect(await from.push([job({ queue, id })], CALL)).toEqual(["stored"]);
      const [delivery] = await to.reserve([queue], {
        limit: 1,
        slots: 1,
        lease: 10_000,
        wait: 5_000,
        ...CALL,
      });
      expect(delivery?.id).toBe(id);
      const settled = await to.settle([{ queue, token: delivery?.token ?? "", to: "done" }], CALL);
      expect(settled).toEqual(["settled"]);
    }
  }

  async function isBack(ways: readonly Transport[]): Promise<void> {
    const answers = (): Promise<boolean> =>
      Promise.all(ways.map((way) => way.queues({ deadline: 2_000 }))).then(() => true, () => false);
    await expect.poll(answers, { timeout: 20_000 }).toBe(true);
  }

  for (const order of ORDERS) {
    test(`${order.join(" before ")}: both come back when the server is restarted, twice`, async () => {
      const server = await started();
      const prefix = `ways-${crypto.randomUUID()}`;
      await using first = open(server, order[0], prefix);
      await first.queues(CALL);
      await using second = open(server, order[1], prefix);
      const ways = [first, second];
      await expectWork(ways, "0");
      for (const id of ["1", "2"]) {
        await server.restart();
        await isBack(ways);
        await expectWork(ways, id);
      }
    }, PATIENCE);
  }

  test("they come back beside connections that the program opened itself, before and after", async () => {
    const server = await started();
    const prefix = `ways-${crypto.randomUUID()}`;
    const endless = { maxReconnectAttempts: -1, reconnectTimeWait: 100 };
    const overWeb = await wsconnect({ servers: server.ws, ...endless });
    const overTcp = await connect({ servers: server.url.replace("nats://", ""), ...endless });
    await using tcp = open(server, "url", prefix);
    await using web = open(server, "ws", prefix);
    const ways = [tcp, web];
    await expectWork(ways, "0");
    await server.restart();
    await isBack(ways);
    await expectWork(ways, "1");
    const flushed = (): Promise<boolean> =>
      Promise.all([overWeb.flush(), overTcp.flush()]).then(() => true, () => false);
    await expect.poll(flushed, { timeout: 20_000 }).toBe(true);
    await overTcp.close();
    // From now on the process has the way of this one, until one of ours dials.
    const last = await wsconnect({ servers: server.ws, ...endless });
    await server.restart();
    await isBack(ways);
    await expectWork(ways, "2");
    await overWeb.close();
    await last.close();
  }, PATIENCE);
});
