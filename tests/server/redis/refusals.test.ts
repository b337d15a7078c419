/** Everything that Redis may refuse: a typed error in time, few tries, and the work goes on once it is mended. */
import { readFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { createServer as createSecureServer } from "node:tls";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createRelay } from "../../../mod.ts";
import type { PushJob } from "../../../src/jobs/exchange.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { redis, type RedisOptions } from "../../../src/transports/redis/mod.ts";
import { free } from "../../web/support/kit.ts";
import { type RedisServer, startRedis } from "../support/servers/redis.ts";
import { commands, connectionsMade } from "./support.ts";

const transports: Transport[] = [];
let server: RedisServer;

beforeAll(async () => {
  server = await startRedis({
    users: ["narrow on >narrow ~{relevo:allowed}* ~relevo:queues +@all -config -info &nowhere"],
  });
}, 120_000);
afterEach(async () => {
  await Promise.all(transports.splice(0).map((transport) => transport[Symbol.asyncDispose]()));
  if (server.pid() !== 0) await server.send("FLUSHALL");
});
afterAll(() => server[Symbol.asyncDispose]());

function open(options: RedisOptions = { url: server.url }): Transport {
  const transport = redis({ warn: () => {}, ...options });
  transports.push(transport);
  return transport;
}

const call = { deadline: 60_000 };
/** Milliseconds in which what need not wait for that deadline is told on a busy machine, too. */
const SOON = 30_000;
const payload = new TextEncoder().encode("{}");

function one(id: string, queue = "work"): PushJob {
  return { queue, id, name: "n", payload, meta: "" };
}

function reserve(transport: Transport, queue = "work", wait = 0): ReturnType<Transport["reserve"]> {
  return transport.reserve([queue], { limit: 10, slots: 10, lease: 5_000, wait, ...call });
}

/** The code and the message of the error with which a call ends. */
async function refusal(run: Promise<unknown>): Promise<{ readonly code: unknown; readonly message: string }> {
  const error: unknown = await run.then(() => new Error("no error"), (thrown: unknown) => thrown);
  if (!(error instanceof Error)) throw error;
  return { code: "code" in error ? error.code : undefined, message: error.message };
}

/** Makes calls one after another for a while. */
async function insist(ms: number, run: () => Promise<unknown>): Promise<number> {
  const end = performance.now() + ms;
  let calls = 0;
  while (performance.now() < end) {
    await run().catch(() => undefined);
    calls++;
  }
  return calls;
}

test("a wrong password is told at once, without it, and not tried in a storm", async () => {
  const transport = open({ url: `redis://nobody:s3cret@127.0.0.1:${server.port}` });
  const before = await connectionsMade(server);
  const { code, message } = await refusal(transport.push([one("1")], call));
  expect(code).toBe("TRANSPORT_UNAVAILABLE");
  expect(message).toMatch(/WRONGPASS/);
  expect(message).not.toMatch(/s3cret/);
  await insist(1_500, () => transport.push([one("1")], { deadline: 50 }));
  expect(await connectionsMade(server) - before).toBeLessThan(12);
});

test("a worker with a wrong password says so, keeps trying in peace, and works once it is right", async () => {
  await using own = await startRedis({ users: ["app on >old ~* &* +@all"] });
  await own.send("ACL", "SETUSER", "app", "resetpass", ">s3cret");
  const transport = open({ url: `redis://app:old@127.0.0.1:${own.port}` });
  const states: string[] = [];
  let done = (): void => {};
  const handled = new Promise<void>((resolve) => done = resolve);
  const relay = createRelay({ transport, jobs: { greet: free() } });
  relay.events.addEventListener("connection", ({ detail }) => void states.push(detail.state));
  relay.handle("greet", () => done());
  const worker = relay.worker();
  const running = worker.run();
  await expect.poll(() => states).toEqual(["down"]);
  await own.send("ACL", "SETUSER", "app", "resetpass", ">old");
  await relay.dispatch("greet", null);
  await handled;
  await worker.stop();
  await running;
  expect(states).toEqual(["down", "up"]);
});

test("a host that nobody answers at is told when the deadline is over", async () => {
  const transport = open({ url: "redis://127.0.0.1:1" });
  const before = performance.now();
  const { code, message } = await refusal(transport.push([one("1")], { deadline: 400 }));
  expect(code).toBe("TRANSPORT_UNAVAILABLE");
  expect(message).toMatch(/ECONNREFUSED|refused/i);
  expect(performance.now() - before).toBeLessThan(SOON);
});

test("a server that speaks no TLS is told", async () => {
  const transport = open({ url: `rediss://127.0.0.1:${server.port}` });
  const { code } = await refusal(transport.queues({ deadline: 1_000 }));
  expect(code).toBe("TRANSPORT_UNAVAILABLE");
});

test("a certificate that nobody vouches for is told at once, and taken when it is said to be right", async () => {
  await using secure = await secured(server.port);
  const url = `rediss://localhost:${secure.port}`;
  const start = performance.now();
  const { code, message } = await refusal(open({ url }).queues(call));
  expect([code, message]).toEqual([
    "TRANSPORT_UNAVAILABLE",
    expect.stringMatching(/no secure connection.*self.signed/),
  ]);
  expect(performance.now() - start).toBeLessThan(SOON);
  expect(await open({ url, tls: { ca: secure.certificate } }).push([one("1")], call)).toEqual(["stored"]);
});

test("a password that is wanted and not given is told at once", async () => {
  await using own = await startRedis({ config: { requirepass: "s3cret" } });
  const { code, message } = await refusal(open({ url: own.url }).queues(call));
  expect([code, message]).toEqual(["TRANSPORT_UNAVAILABLE", expect.stringMatching(/NOAUTH/)]);
  expect(await open({ url: `redis://:s3cret@127.0.0.1:${own.port}` }).queues(call)).toEqual([]);
});

test("a server that is too old is told at once, with its version", async () => {
  await using old = await oldServer("6.2.14");
  const transport = open({ url: `redis://localhost:${old.port}` });
  const { code, message } = await refusal(transport.push([one("1")], call));
  expect(code).toBe("TRANSPORT_INCOMPATIBLE");
  expect(message).toMatch(/7\.0 or newer: current version is 6\.2\.14/);
});

test("a key of another type in the way is told, changes nothing, and hides no other queue", async () => {
  await server.send("SET", "{relevo:work}:waiting", "mine");
  const transport = open();
  const [result] = await transport.push([one("1")], call).catch((error: unknown) => [error]);
  expect(result).toMatchObject({ code: "TRANSPORT_CORRUPT" });
  expect(await server.send("GET", "{relevo:work}:waiting")).toBe("mine");
  expect(await transport.push([one("1", "other")], call)).toEqual(["stored"]);
  expect((await refusal(reserve(transport))).code).toBe("TRANSPORT_CORRUPT");
});

test("a read-only replica refuses pushes as certain, and can be looked at", async () => {
  await using replica = await startRedis();
  await open().push([one("1")], call);
  await replica.send("REPLICAOF", "127.0.0.1", server.port);
  await expect.poll(async () => String(await replica.send("INFO", "replication"))).toMatch(
    /master_link_status:up/,
  );
  const transport = open({ url: replica.url });
  expect((await refusal(transport.push([one("2")], call))).code).toBe("TRANSPORT_READ_ONLY");
});

test("a user that may not is told so, and where it may, the bell's absence only costs a look", async () => {
  const url = `redis://narrow:narrow@127.0.0.1:${server.port}`;
  const transport = open({ url, check: 100 });
  const refused = await refusal(transport.push([one("1", "forbidden")], call));
  expect(refused.code).toBe("TRANSPORT_FORBIDDEN");
  const waiting = reserve(transport, "allowed", 10_000);
  expect(await open().push([one("1", "allowed")], call)).toEqual(["stored"]);
  expect((await waiting).map(({ id }) => id)).toEqual(["1"]);
});

test("queues with odd names are queues", async () => {
  const names = [
    "{",
    "}",
    "a}b",
    "{a}",
    "a:b",
    " ",
    "*",
    "?[x]",
    "ü",
    "🙂",
    "'\"\\",
    "waiting",
    "x".repeat(200),
  ];
  const transport = open();
  for (const name of names) {
    expect(await transport.push([one(name.slice(0, 9), name)], call)).toEqual(["stored"]);
  }
  for (const name of names) {
    const [delivery] = await reserve(transport, name);
    expect([delivery?.queue, delivery?.id]).toEqual([name, name.slice(0, 9)]);
  }
  expect(await transport.queues(call)).toEqual([...names].sort());
});

test("full memory refuses pushes whole, and lets what runs be settled", async () => {
  const transport = open();
  await transport.push([one("1"), one("2")], call);
  const [first] = await reserve(transport);
  await server.send("CONFIG", "SET", "maxmemory", "1mb");
  try {
    const result = await transport.push([one("3"), one("4")], call).catch((error: unknown) => error);
    const results: readonly unknown[] = Array.isArray(result) ? result : [result];
    for (const each of results) expect(each).toMatchObject({ code: "TRANSPORT_FULL" });
    const held = { queue: "work", token: first?.token ?? "" };
    expect(await transport.settle([{ ...held, to: "failed", meta: "m", reason: "r" }], call)).toEqual([
      "settled",
    ]);
    const { waiting, failed, delayed } = await transport.info("work", call);
    expect({ waiting, failed, delayed }).toEqual({ waiting: 0, failed: 1, delayed: 0 });
  } finally {
    await server.send("CONFIG", "SET", "maxmemory", "0");
  }
  expect(await transport.push([one("3")], call)).toEqual(["stored"]);
});

test.each(
  [
    [
      { maxmemory: "64mb", "maxmemory-policy": "allkeys-lru" },
      /memory is full the server deletes jobs.*allkeys-lru/,
    ],
    [{ appendonly: "no" }, /restart takes all jobs/],
    [{ appendonly: "no", save: "60 1" }, /since the last snapshot/],
    [{ appendfsync: "no" }, /power cut/],
  ] as const,
)("a server whose settings may lose jobs is warned of once: %j", async (config, wanted) => {
  await using own = await startRedis({ config });
  const warnings: string[] = [];
  const transport = open({ url: own.url, warn: (message) => void warnings.push(message) });
  await transport.queues(call);
  await expect.poll(() => warnings.length).toBe(1);
  expect(warnings[0]).toMatch(wanted);
  await own.restart();
  await transport.queues(call);
  expect(warnings.length).toBe(1);
});

test("a server that keeps jobs is not warned of", async () => {
  const warnings: string[] = [];
  const transport = open({ url: server.url, warn: (message) => void warnings.push(message) });
  await transport.queues(call);
  const asked = await commands(server, "config|get");
  await transport.queues(call);
  expect([warnings, asked > 0]).toEqual([[], true]);
});

test("scripts that the server forgot are sent again, and nobody notices", async () => {
  const transport = open();
  await transport.push([one("1")], call);
  await server.send("SCRIPT", "FLUSH");
  await transport.push([one("2")], call);
  await server.send("SCRIPT", "FLUSH");
  expect((await reserve(transport)).map(({ id }) => id)).toEqual(["1", "2"]);
});

test(
  "W20: a worker outlives FLUSHALL: the next job is handled, and nothing is asked in a storm",
  async () => {
    const transport = open();
    const relay = createRelay({ transport, jobs: { greet: free() } });
    const seen: string[] = [];
    relay.handle("greet", (_, context) => void seen.push(context.job.id));
    const worker = relay.worker();
    const running = worker.run();
    await relay.dispatch("greet", null, { id: "before" });
    await expect.poll(() => seen).toEqual(["before"]);
    await server.send("FLUSHALL");
    const before = await commands(server);
    // Commands in a time are the measure, which no event ends.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(await commands(server) - before).toBeLessThan(30);
    // No waiting call is registered any more, so that a poll has to find it.
    await relay.dispatch("greet", null, { id: "after" });
    await expect.poll(() => seen).toEqual(["before", "after"]);
    await worker.stop();
    await running;
  },
  120_000,
);

/** As much of an old server as is asked before it is refused; a real one cannot be had here. */
async function oldServer(version: string): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<Socket>();
  const info = `redis_version:${version}\r\nloading:0\r\n`;
  const old = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("data", (data) => {
      const asked = data.toString().toUpperCase();
      if (asked.includes("HELLO")) socket.write("%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n");
      if (asked.includes("INFO")) socket.write(`$${info.length}\r\n${info}\r\n`);
    });
  });
  return await listening(old, sockets);
}

/** TLS before a server that speaks none. */
async function secured(
  to: number,
): Promise<AsyncDisposable & { readonly port: number; readonly certificate: string }> {
  const file = (name: string): string =>
    readFileSync(new URL(`../fixtures/tls/${name}.pem`, import.meta.url), "utf8");
  const certificate = file("cert");
  const sockets = new Set<Socket>();
  const server = createSecureServer({ cert: certificate, key: file("key") }, (inner) => {
    const outer = connect(to, "127.0.0.1");
    for (const socket of [inner, outer]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => void [inner.destroy(), outer.destroy()]);
    }
    inner.pipe(outer).pipe(inner);
  });
  server.on("tlsClientError", () => {});
  return { certificate, ...await listening(server, sockets) };
}

/** A server of a test's own, on a port of its own. */
async function listening(
  server: Server,
  sockets: ReadonlySet<Socket>,
): Promise<AsyncDisposable & { readonly port: number }> {
  await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
