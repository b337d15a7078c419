/** Connections of both ways in one process, each of which must come back by its own, and however it was lost. */
import { connect as dial, createServer, type Socket } from "node:net";
import { connect, wsconnect } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { job } from "../../../src/testing/conformance/lab.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { testByClock } from "../../web/support/real_clock.ts";
import { type NatsServer, startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";

const CALL = { deadline: 60_000 };
const PATIENCE = 120_000;
/** Less than the time after which a silent link is given up by itself, and more than the last words may take. */
const CLOSING = 4_000;
/** For what is to end in that time: a process that has no turns for long cannot end anything. */
const patient = testByClock(100);
/** More than all buffers on the way take. */
const MUCH = Array.from(
  { length: 20 },
  (_, n) => job({ queue: "work", id: `much-${n}`, payload: new Uint8Array(900_000) }),
);
const ORDERS = [["url", "ws"], ["ws", "url"]] as const;
/** What of a server comes through a proxy before it is silent: nothing, its greeting, all. */
type Passing = "nothing" | "greeting" | "all";

/** A proxy on loopback whose connections can fall silent: they stay open, and nothing comes through. */
interface Proxy extends AsyncDisposable {
  readonly port: number;
  /** What comes through connections that are made from now on. */
  passing: Passing;
  /** Lets those that are there fall silent; nobody reads what comes. */
  hush(): void;
  /** Ends those that are silent. */
  cut(): void;
  /** How many were made. */
  made(): number;
  /** Resolves when another is made. */
  next(): Promise<void>;
  /** Resolves when none is open. */
  left(): Promise<void>;
}

async function proxied(url: string): Promise<Proxy> {
  const target = Number(new URL(url).port);
  /** What is open, and whether it is silent. */
  const links = new Map<Socket, boolean>();
  const coming: (() => void)[] = [];
  const leaving: (() => void)[] = [];
  let made = 0;
  const server = createServer((near) => {
    made++;
    for (const resolve of coming.splice(0)) resolve();
    const { passing } = proxy;
    const far = dial(target, "127.0.0.1");
    links.set(near, passing === "nothing");
    near.on("data", (chunk) => links.get(near) === false && far.write(chunk));
    far.on("data", (chunk) => {
      if (links.get(near) !== false) return;
      near.write(chunk);
      links.set(near, passing === "greeting" && chunk.includes("INFO "));
    });
    near.on("close", () => {
      links.delete(near);
      far.destroy();
      for (const resolve of links.size === 0 ? leaving.splice(0) : []) resolve();
    });
    // A broken end is seen by its closing.
    for (const socket of [near, far]) socket.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The proxy has no port");
  const proxy: Proxy = {
    port: address.port,
    passing: "all",
    hush() {
      for (const near of links.keys()) {
        links.set(near, true);
        near.pause();
      }
    },
    cut() {
      for (const [near, silent] of links) if (silent) near.destroy();
    },
    made: () => made,
    next: () => new Promise((resolve) => coming.push(resolve)),
    left: () => new Promise((resolve) => links.size === 0 ? resolve() : leaving.push(resolve)),
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const near of links.keys()) near.destroy();
      await closed;
    },
  };
  return proxy;
}

describeOn(["nats"], "TCP and WebSocket in one process", () => {
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

  function openThrough(server: NatsServer, way: "url" | "ws", { port }: Proxy): Transport {
    const servers = server[way].replace(/\d+$/, String(port));
    return nats({ servers, prefix: `ways-${crypto.randomUUID()}` });
  }

  async function isBack(ways: readonly Transport[]): Promise<void> {
    const answers = (): Promise<boolean> =>
      Promise.all(ways.map((way) => way.queues({ deadline: 2_000 }))).then(() => true, () => false);
    await expect.poll(answers).toBe(true);
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
    await expect.poll(flushed).toBe(true);
    await overTcp.close();
    // From now on the process has the way of this one, until one of ours dials.
    const last = await wsconnect({ servers: server.ws, ...endless });
    await server.restart();
    await isBack(ways);
    await expectWork(ways, "2");
    await overWeb.close();
    await last.close();
  }, PATIENCE);

  for (const [way, passing] of [["url", "nothing"], ["ws", "greeting"]] as const) {
    // Side by side, as each waits for some seconds.
    test.concurrent(
      `${way}: a server that is silent when it is dialled is given up, and dialled again`,
      async () => {
        const server = await started();
        await using proxy = await proxied(server[way]);
        await using transport = openThrough(server, way, proxy);
        proxy.passing = passing;
        await expect(transport.queues(CALL)).rejects.toMatchObject({
          code: "TRANSPORT_UNAVAILABLE",
          message: "Cannot connect to NATS as no server answered in time",
        });
        // Over WebSocket a runtime waits until the other end has said that it closes.
        if (way === "url") await proxy.left();
        proxy.passing = "all";
        expect(await transport.queues(CALL)).toEqual([]);
      },
      PATIENCE,
    );
  }

  test.concurrent(
    "ws: the late end of a dial that was given up is not that of the link which followed",
    async () => {
      const server = await started();
      await using proxy = await proxied(server.ws);
      await using transport = openThrough(server, "ws", proxy);
      await transport.queues(CALL);
      proxy.passing = "greeting";
      const dialled = proxy.next();
      proxy.hush();
      proxy.cut();
      await dialled;
      proxy.passing = "all";
      await proxy.next();
      expect(await transport.queues(CALL)).toEqual([]);
      const made = proxy.made();
      proxy.cut();
      for (let times = 0; times < 10; times++) await transport.queues(CALL);
      expect(proxy.made()).toBe(made);
    },
    PATIENCE,
  );

  /** Checks a transport of which a job is stored, and whose link is silent now with much on its way. */
  async function onSilent(way: "url" | "ws", check: (transport: Transport) => Promise<void>): Promise<void> {
    const server = await started();
    await using proxy = await proxied(server[way]);
    await using transport = openThrough(server, way, proxy);
    expect(await transport.push([job({ queue: "work", id: "1" })], CALL)).toEqual(["stored"]);
    proxy.hush();
    await transport.push(MUCH, { deadline: 1_000 }).catch(() => undefined);
    await check(transport);
  }

  for (const way of ["url", "ws"] as const) {
    test.concurrent(
      `${way}: a link that falls silent with much on its way is given up, and made anew`,
      () =>
        onSilent(way, async (transport) => {
          const lost = transport.queues({ deadline: PATIENCE });
          await expect(lost).rejects.toMatchObject({ code: "TRANSPORT_UNAVAILABLE" });
          expect(await transport.push([job({ queue: "work", id: "2" })], CALL)).toEqual(["stored"]);
        }),
      PATIENCE,
    );

    patient.concurrent(
      `${way}: a transport whose link fell silent with much on its way is closed in time`,
      () =>
        onSilent(way, async (transport) => {
          const begun = performance.now();
          await transport[Symbol.asyncDispose]();
          expect(performance.now() - begun).toBeLessThan(CLOSING);
        }),
      PATIENCE,
    );
  }
});
