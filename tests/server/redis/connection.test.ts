/** What a link does while its connection comes, goes, hangs or is refused: every count is the server's own. */
import { createServer, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createLink } from "../../../src/transports/redis/client/links.ts";
import type { Link } from "../../../src/transports/redis/client/link.ts";
import { type RedisOptions, settingsOf } from "../../../src/transports/redis/options.ts";
import { type RedisServer, startRedis } from "../support/servers/redis.ts";
import { commands, connections, connectionsMade, textOf } from "./support.ts";

/** Milliseconds in which a call of a short deadline ends on a busy machine, too. */
const SOON = 20_000;
let server: RedisServer;
const links: Link[] = [];

beforeAll(async () => {
  server = await startRedis();
}, 120_000);
afterEach(async () => {
  await Promise.all(links.splice(0).map((link) => link.close()));
});
afterAll(() => server[Symbol.asyncDispose]());

function open(options: RedisOptions = { url: server.url }): Link {
  const link = createLink(settingsOf({ warn: () => {}, ...options }), () => {});
  links.push(link);
  return link;
}

const GET = (key: string): readonly string[] => ["GET", key];
const ECHO = { name: "echo", source: "#!lua flags=allow-oom\nreturn {KEYS[1], ARGV[1], 7, false, {'a'}}" };

/** How a call ends: its answer, or the code of its error. */
async function endOf(call: Promise<unknown>): Promise<unknown> {
  try {
    return textOf(await call);
  } catch (error) {
    return error instanceof Error && "code" in error ? error.code : error;
  }
}

test("commands and scripts are answered, texts as bytes", async () => {
  const link = open();
  await link.command("k", ["SET", "k", "v"], { deadline: 60_000 });
  expect(textOf(await link.command("k", GET("k"), { deadline: 60_000 }))).toBe("v");
  const answer = await link.run(ECHO, ["k"], [new Uint8Array([255, 0])], { deadline: 60_000 });
  expect(answer).toEqual([
    Buffer.from("k"),
    Buffer.from([255, 0]),
    7,
    null,
    [Buffer.from("a")],
  ]);
});

test("a script goes whole when the server lost it, and by its hash from then on", async () => {
  const link = open();
  await link.run(ECHO, ["k"], [""], { deadline: 60_000 });
  await server.send("SCRIPT", "FLUSH");
  await link.run(ECHO, ["k"], [""], { deadline: 60_000 });
  const before = await commands(server, "eval");
  await link.run(ECHO, ["k"], [""], { deadline: 60_000 });
  expect(await commands(server, "eval")).toBe(before);
});

test("one connection carries commands and bells, and closing leaves none", async () => {
  const before = await connections(server);
  const link = open();
  const heard: string[] = [];
  let ring = (): void => {};
  const rung = new Promise<void>((resolve) => ring = resolve);
  const listening = link.listen("{x}:bell", {
    heard: (message) => {
      heard.push(message);
      ring();
    },
    lost: () => {},
  });
  expect(await listening.known).toBe(true);
  await link.command("{x}", ["SPUBLISH", "{x}:bell", "hello"], { deadline: 60_000 });
  await rung;
  expect(heard).toEqual(["hello"]);
  expect(await connections(server)).toBe(before + 1);
  await link.close();
  await expect.poll(() => connections(server)).toBe(before);
});

test("a bell is heard again after the server was restarted, and says that it was deaf", async () => {
  await using own = await startRedis();
  const link = open({ url: own.url });
  const events: string[] = [];
  const listening = link.listen("{x}:bell", {
    heard: (message) => events.push(message),
    lost: () => events.push("lost"),
  });
  expect(await listening.known).toBe(true);
  await own.restart();
  await expect.poll(() => events).toEqual(["lost", ""]);
  await link.command("{x}", ["SPUBLISH", "{x}:bell", "hello"], { deadline: 60_000 });
  await expect.poll(() => events).toEqual(["lost", "", "hello"]);
});

test("calls made while the server is away wait for it, and are answered when it is back", async () => {
  await using own = await startRedis();
  const link = open({ url: own.url });
  await link.command("k", ["SET", "k", "v"], { deadline: 60_000 });
  await own.stop();
  await expect.poll(() => link.reachable).toBe(false);
  const answers = Promise.all(
    Array.from({ length: 20 }, () => endOf(link.command("k", GET("k"), { deadline: 60_000 }))),
  );
  await own.start();
  expect(await answers).toEqual(Array.from({ length: 20 }, () => "v"));
  await expect.poll(() => connections(own)).toBe(1);
});

test("a call whose deadline passes without a connection is certain to have done nothing", async () => {
  await using own = await startRedis();
  const link = open({ url: own.url });
  await own.stop();
  await expect.poll(() => link.reachable).toBe(false);
  const before = performance.now();
  expect(await endOf(link.command("k", ["SET", "k", "v"], { deadline: 300 }))).toBe("TRANSPORT_UNAVAILABLE");
  expect(performance.now() - before).toBeLessThan(SOON);
  await own.start();
  expect(await endOf(link.command("k", GET("k"), { deadline: 60_000 }))).toBe("null");
});

test("a call that was sent when the server died has no known outcome", async () => {
  await using own = await startRedis();
  const link = open({ url: own.url });
  await link.command("k", GET("k"), { deadline: 60_000 });
  own.pause();
  const call = endOf(link.command("k", ["INCR", "k"], { deadline: 60_000 }));
  await new Promise((resolve) => setTimeout(resolve, 50));
  // What is frozen must not go on before it dies.
  process.kill(own.pid(), "SIGKILL");
  await own.kill();
  expect(await call).toBe("CONNECTION_LOST");
});

test("a half-open connection costs a call its deadline, and is then replaced", async () => {
  await using own = await startRedis();
  await using silent = await forward(own.port);
  const link = open({ url: `redis://127.0.0.1:${silent.port}` });
  await link.command("k", ["SET", "k", "v"], { deadline: 60_000 });
  silent.swallow();
  const before = performance.now();
  expect(await endOf(link.command("k", GET("k"), { deadline: 300 }))).toBe("DEADLINE_EXCEEDED");
  expect(performance.now() - before).toBeLessThan(SOON);
  silent.heal();
  expect(await endOf(link.command("k", GET("k"), { deadline: 60_000 }))).toBe("CONNECTION_LOST");
  expect(await endOf(link.command("k", GET("k"), { deadline: 60_000 }))).toBe("v");
  expect(silent.accepted()).toBe(2);
});

test("a server that is slow but alive keeps its connection when a call gives up", async () => {
  const link = open();
  await link.command("k", ["SET", "k", "v"], { deadline: 60_000 });
  const before = await connectionsMade(server);
  let end: unknown;
  let sleeps = 0;
  // Calls follow one another until the server sleeps under one. On a busy machine it may sleep between two of them.
  for (; end !== "DEADLINE_EXCEEDED"; sleeps++) {
    let awake = false;
    const busy = server.send("DEBUG", "SLEEP", "0.5").finally(() => awake = true);
    do {
      end = await endOf(link.command("k", GET("k"), { deadline: 100 }));
    } while (!awake && end !== "DEADLINE_EXCEEDED");
    expect(await endOf(link.command("k", GET("k"), { deadline: 60_000 }))).toBe("v");
    await busy;
  }
  // Beside the connections of the one that had it sleep, and of that which counts.
  expect(await connectionsMade(server) - before).toBeLessThanOrEqual(sleeps + 1);
});

test("an abort ends a call with the signal's reason, and leaves the connection alone", async () => {
  const link = open();
  await link.command("k", ["SET", "k", "v"], { deadline: 60_000 });
  const controller = new AbortController();
  const reason = new Error("enough");
  const call = link.command("k", ["BLPOP", "none", "1"], { deadline: 60_000, signal: controller.signal });
  controller.abort(reason);
  await expect(call).rejects.toBe(reason);
  expect(await endOf(link.command("k", GET("k"), { deadline: 60_000 }))).toBe("v");
});

test("closing ends every call: one that waits as closed, one that was sent and stays unanswered as of no known outcome", async () => {
  await using own = await startRedis();
  const link = open({ url: own.url });
  await link.command("k", GET("k"), { deadline: 60_000 });
  const sent = endOf(link.command("k", ["BLPOP", "none", "60"], { deadline: 60_000 }));
  const away = open({ url: "redis://127.0.0.1:1" });
  const waiting = endOf(away.command("k", GET("k"), { deadline: 60_000 }));
  await expect.poll(async () => Number(/blocked_clients:(\d+)/.exec(String(await own.send("INFO")))?.[1]))
    .toBe(1);
  await link.close();
  await away.close();
  expect([await sent, await waiting]).toEqual(["CONNECTION_LOST", "TRANSPORT_CLOSED"]);
  expect(await endOf(link.command("k", GET("k"), { deadline: 60_000 }))).toBe("TRANSPORT_CLOSED");
});

test("a server that loads its data is waited for", async () => {
  await using own = await startRedis({
    config: { "key-load-delay": 200, "loading-process-events-interval-bytes": 1_024 },
  });
  for (let n = 0; n < 40; n++) await own.send("SET", `k${n}`, "x".repeat(1_000));
  const link = open({ url: own.url });
  await link.command("k", GET("k0"), { deadline: 60_000 });
  await own.stop();
  await expect.poll(() => link.reachable).toBe(false);
  const started = own.start();
  const answer = await endOf(link.command("k0", ["STRLEN", "k0"], { deadline: 30_000 }));
  await started;
  expect(answer).toBe("1000");
});

test("a connection that never becomes ready is given up, and the call told in time", async () => {
  const sockets = new Set<Socket>();
  const mute = createServer((socket) => {
    sockets.add(socket.resume());
    // A broken end is seen by its closing.
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve));
  const address = mute.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const link = open({ url: `redis://127.0.0.1:${port}`, connectTimeout: 200 });
  // A machine that stands still for a second leaves a call one attempt.
  do {
    const error = await link.command("k", GET("k"), { deadline: 1_000 }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "TRANSPORT_UNAVAILABLE" });
    expect(String(error)).toMatch(/does not answer within 200 ms/);
  } while (sockets.size < 2);
  expect(sockets.size).toBeLessThan(6);
  await link.close();
  await expect.poll(() => [...sockets].filter(({ closed }) => !closed)).toEqual([]);
  await new Promise((resolve) => mute.close(resolve));
});

/** A way to a server that can stop carrying anything without closing a connection. */
interface Forward extends AsyncDisposable {
  readonly port: number;
  /** From now on nothing is carried over the connections that are there, nor told of their end. */
  swallow(): void;
  /** New connections work; those that were swallowed stay so. */
  heal(): void;
  accepted(): number;
}

async function forward(to: number): Promise<Forward> {
  const { connect } = await import("node:net");
  const pairs = new Set<readonly [Socket, Socket]>();
  let mute = false;
  let accepted = 0;
  const relay = createServer((inner) => {
    accepted++;
    inner.on("error", () => {});
    if (mute) return;
    const outer = connect(to, "127.0.0.1");
    outer.on("error", () => {});
    pairs.add([inner, outer]);
    inner.pipe(outer).pipe(inner);
  });
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
  const address = relay.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    swallow() {
      mute = true;
      for (const [inner, outer] of pairs) {
        inner.unpipe(outer);
        outer.unpipe(inner);
      }
    },
    heal: () => void (mute = false),
    accepted: () => accepted,
    async [Symbol.asyncDispose]() {
      for (const pair of pairs) for (const socket of pair) socket.destroy();
      await new Promise((resolve) => relay.close(resolve));
    },
  };
}
