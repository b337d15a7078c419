/** Where Redis is: options, URLs and the environment, and what is wrong with them without repeating a secret. */
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { connect } from "../../../src/connect.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { redis, type RedisOptions } from "../../../src/transports/redis/mod.ts";
import { startNats } from "../support/servers/nats.ts";
import { type RedisServer, startRedis } from "../support/servers/redis.ts";
import { startRedisCluster } from "../support/servers/redis_cluster.ts";

let server: RedisServer;
const transports: Transport[] = [];

beforeAll(async () => {
  server = await startRedis({ users: ["app on >s3:cret@ ~* &* +@all"] });
}, 120_000);
afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(transports.splice(0).map((transport) => transport[Symbol.asyncDispose]()));
  await server.send("FLUSHALL");
});
afterAll(() => server[Symbol.asyncDispose]());

const call = { deadline: 60_000 };

async function connected(url: string): Promise<Transport> {
  const transport = await connect(url, call);
  transports.push(transport);
  return transport;
}

async function store(transport: Transport): Promise<void> {
  const job = { queue: "work", id: "1", name: "n", payload: new Uint8Array(), meta: "" };
  expect(await transport.push([job], call)).toEqual(["stored"]);
}

async function keys(database = 0): Promise<readonly string[]> {
  const client = await server.admin();
  try {
    await client.send("SELECT", database);
    const found = await client.send("KEYS", "*");
    return (Array.isArray(found) ? found : []).map(String);
  } finally {
    await client[Symbol.asyncDispose]();
  }
}

test("a URL says host, port, user, password, database and parameters", async () => {
  const user = `app:${encodeURIComponent("s3:cret@")}`;
  const transport = await connected(
    `redis://${user}@127.0.0.1:${server.port}/2?prefix=shop&name=mine&check=500`,
  );
  expect(transport.name).toBe("mine");
  await store(transport);
  expect(await keys(2)).toContain("{shop:work}:waiting");
  expect(await keys()).toEqual([]);
});

test("F075: without an address the environment says where: REDIS_URL, then REDIS_ADDR; what is said wins over both", async () => {
  vi.stubEnv("REDIS_ADDR", `127.0.0.1:${server.port}`);
  await store(await connected("redis:?prefix=addr"));
  vi.stubEnv("REDIS_ADDR", "127.0.0.1:1");
  vi.stubEnv("REDIS_URL", server.url);
  await store(await connected("redis:?prefix=url"));
  vi.stubEnv("REDIS_URL", "redis://127.0.0.1:1");
  await store(await connected(`${server.url}?prefix=said`));
  const own = redis({ url: server.url, prefix: "option", warn: () => {} });
  transports.push(own);
  await store(own);
  const found = await keys();
  for (const prefix of ["addr", "url", "said", "option"]) expect(found).toContain(`{${prefix}:work}:waiting`);
});

test(
  "a Cluster is found by any of its nodes: by its scheme, and by several addresses in REDIS_ADDR",
  async () => {
    await using cluster = await startRedisCluster();
    const addresses = cluster.nodes.map(({ port }) => `127.0.0.1:${port}`);
    await store(await connected(`redis+cluster://127.0.0.1:1,${addresses[4]}`));
    vi.stubEnv("REDIS_ADDR", addresses.join(", "));
    const [entry] = await (await connected("redis:")).get("work", ["1"], call);
    expect(entry?.channel).toBe("waiting");
    vi.stubEnv("REDIS_ADDR", addresses[0]);
    const [again] = await (await connected("redis+cluster:")).get("work", ["1"], call);
    expect(again?.channel).toBe("waiting");
    await Promise.all(transports.splice(0).map((transport) => transport[Symbol.asyncDispose]()));
  },
  120_000,
);

test("what cannot be reached is told when the attempt's time is over, without its password", async () => {
  const error = await connect("redis://me:s3cret@127.0.0.1:1", { deadline: 200 }).catch((thrown: unknown) =>
    thrown
  );
  expect(error).toMatchObject({ code: "TRANSPORT_UNAVAILABLE" });
  expect(JSON.stringify(error) + String(error)).not.toContain("s3cret");
});

test("a port that speaks NATS is told as such at once, and one that answers no TLS as what it may be", async () => {
  await using other = await startNats();
  const port = new URL(other.url).port;
  expect(await connect(`redis://127.0.0.1:${port}`, call).catch((error: unknown) => error)).toMatchObject({
    code: "TRANSPORT_INCOMPATIBLE",
    message: "Cannot use redis as this port speaks NATS, not Redis",
  });
  // Such a port is silent, so that a call says it when its time is over: a machine may stand still for that long.
  const silent = `rediss://127.0.0.1:${server.port}?connectTimeout=500`;
  const told = (): Promise<string> => connect(silent, { deadline: 1_500 }).then(() => "connected", String);
  await expect.poll(told).toMatch(/this port (may be one without|does not speak) TLS/);
});

test("what is wrong with an address is told with what is wanted, and no secret is", async () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["rediss:", /must begin with '\/\/'/],
    ["redis:host", /must begin with '\/\/'/],
    ["redis://", /'url' must be an address/],
    ["redis://me:s3cret@host:99999999", /its host or port is none/],
    ["redis://me:s3cret@host/s3cret", /no number of a database/],
    ["redis://me:%s3cret@host", /%25/],
    ["redis://me:s3cret@host?password=s3cret", /no parameter 'password'/],
    ["redis+cluster://me:s3cret@host/3,other", /database/],
    ["redis://host?check=often", /'check' must be a whole number/],
  ];
  for (const [url, message] of cases) {
    const error: unknown = await connect(url, { deadline: 100 }).catch((thrown: unknown) => thrown);
    expect(error, url).toBeInstanceOf(TypeError);
    expect(String(error)).toMatch(message);
    expect(String(error)).not.toContain("s3cret");
  }
});

test("what is wrong with an option is told with what is wanted", () => {
  const cases: readonly (readonly [RedisOptions, RegExp])[] = [
    [{ url: "redis://a", nodes: ["b"] }, /at most one of 'url', 'nodes' and 'client'/],
    [{ nodes: [] }, /at least one address/],
    [{ url: "http://a" }, /its scheme is 'http:'/],
    [{ url: 7 as never }, /it is 7/],
    [{ prefix: "a{b}" }, /without braces/],
    [{ prefix: "" }, /non-empty/],
    [{ group: "" }, /non-empty/],
    [{ keys: { waiting: "delayed" } }, /'delayed' is two/],
    [{ keys: { wating: "w" } as never }, /no option 'wating'/],
    [{ cluster: "no" as never }, /'cluster' must be true or false/],
    [{ check: 1 }, /'check' must be a whole number from 100/],
    [{ warn: "yes" as never }, /'warn' must be a function/],
    [{ password: "s3cret" } as never, /no option 'password'/],
  ];
  for (const [options, message] of cases) expect(() => redis(options)).toThrow(message);
});
