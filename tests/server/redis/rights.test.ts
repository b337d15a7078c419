/** The rights that docs/transports/redis.md lists: enough for each role, and what one of them is lacking for is told by its name. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRelay, every, fixed, type Relay } from "../../../mod.ts";
import { inRepository } from "../../../scripts/lib/paths.mjs";
import type { Transport } from "../../../src/contract/transport.ts";
import { redis } from "../../../src/transports/redis/mod.ts";
import { free } from "../../web/support/kit.ts";
import { type RedisName, type RedisServer, startRedis } from "../support/servers/redis.ts";

const page = readFileSync(inRepository("docs/transports/redis.md"), "utf8");
const ROLES = new Map(
  [...page.matchAll(/^ACL SETUSER (\w+) (.*)$/gm)].map((
    [, role = "", rights = ""],
  ) => [role, rights.split(" ")]),
);
const call = { deadline: 60_000 };
const JOBS = { mail: free(), news: { schema: free(), topic: true } } as const;

/** What a role does, on a server where others have done their part. */
type Duty = (relay: Relay<typeof JOBS>, transport: Transport) => Promise<void>;

const DUTIES: Readonly<Record<string, Duty>> = {
  async producer(relay) {
    await relay.dispatch("mail", null);
    await relay.dispatch("mail", null, { id: "own", delay: 60_000 });
    await relay.dispatchMany(Array.from({ length: 20 }, () => ({ name: "mail", payload: null })));
    const { id } = await relay.dispatch("mail", "x".repeat(100_000));
    expect(await server.send("HEXISTS", "{relevo:default}:ids", id)).toBe(1);
    await relay.dispatch("news", null);
    await relay.schedule("mail", null, { when: every(60_000), key: "often" });
  },
  async worker(relay, transport) {
    await relay.bind("news", "readers");
    const seen: string[] = [];
    let tries = 0;
    relay.handle("mail", (payload) => {
      seen.push(String(payload));
      if (payload === "fails" && tries++ === 0) throw new Error("once");
    });
    const failed = new Promise((resolve) => relay.events.addEventListener("completed", resolve));
    await relay.dispatch("mail", "fails", { backoff: fixed(1) });
    await relay.dispatch("mail", "late", { delay: 1 });
    const worker = relay.worker({ poll: 100 });
    const running = worker.run();
    await failed;
    await expect.poll(() => seen.length).toBeGreaterThanOrEqual(3);
    await worker.stop();
    await running;
    expect(await transport.queues(call)).toContain("default");
  },
  async operator(relay, transport) {
    await transport.list("default", "failed", { limit: 10, preview: 0 }, call);
    for (const channel of ["waiting", "delayed", "reserved"] as const) {
      await transport.list("default", channel, { limit: 10, preview: 0 }, call);
    }
    await transport.get("default", ["dead", "none"], call);
    expect((await relay.reload("default", "failed", "all")).reloaded).toBe(1);
    expect(await relay.remove("default", "waiting", "all")).toBeGreaterThan(0);
    await relay.queues();
    await relay.info("default");
  },
};

let server: RedisServer;

async function act(role: string, rights: readonly string[]): Promise<void> {
  await server.send("FLUSHALL");
  await server.send("ACL", "LOG", "RESET");
  await server.send("ACL", "SETUSER", role, "reset", ...rights);
  await using owner = createRelay({
    jobs: JOBS,
    transport: redis({ url: server.url, warn: () => {} }),
    log: false,
  });
  if (role === "operator") {
    owner.handle("mail", () => {
      throw new Error("always");
    });
    await owner.dispatch("mail", null, { id: "dead", maxAttempts: 1 });
    await owner.drain();
    await owner.dispatch("mail", null, { delay: 60_000 });
  }
  const transport = redis({ url: `redis://${role}:secret@127.0.0.1:${server.port}`, warn: () => {} });
  await using relay = createRelay({ jobs: JOBS, transport, log: false, callTimeout: 5_000 });
  await DUTIES[role]?.(relay, transport);
}

describe.each<RedisName>(["redis7", "redis8"])("%s", (name) => {
  beforeAll(async () => {
    server = await startRedis({ server: name });
  }, 120_000);
  afterAll(() => server[Symbol.asyncDispose]());

  test.each([...ROLES.keys()])(
    "a %s does its work with the rights of the page and no others",
    async (role) => {
      await act(role, ROLES.get(role) ?? []);
      const log = await server.send("ACL", "LOG") as readonly unknown[];
      // What may be asked at the start, and need not be allowed.
      const denied = log.map((line) => String((line as readonly unknown[])[7])).filter((command) =>
        !/^(info|client\|?\w*|config\|get|cluster\|?\w*)$/.test(command)
      );
      expect(denied).toEqual([]);
    },
    120_000,
  );

  test.each(["xadd", "hset", "time", "xlen", "eval"])(
    "a push without the right for '%s' is refused by its name, and stores nothing",
    async (command) => {
      await server.send("FLUSHALL");
      await server.send("ACL", "SETUSER", "lacking", "reset", ...ROLES.get("producer") ?? [], `-${command}`);
      await using transport = redis({
        url: `redis://lacking:secret@127.0.0.1:${server.port}`,
        warn: () => {},
      });
      await using relay = createRelay({ jobs: JOBS, transport, log: false });
      await expect(relay.dispatch("mail", null)).rejects.toMatchObject({
        code: "TRANSPORT_FORBIDDEN",
        message: expect.stringContaining(`'${command.toUpperCase()}'`),
      });
      expect(await server.send("EXISTS", "{relevo:default}:waiting")).toBe(0);
    },
  );

  test.each(
    [
      ["info", (transport: Transport) => transport.info("default", call), "xlen"],
      ["queues", (transport: Transport) => transport.queues(call), "smembers"],
      ["get", (transport: Transport) => transport.get("default", ["x"], call), "hget"],
      [
        "reserve",
        (transport: Transport) =>
          transport.reserve(["default"], { limit: 1, slots: 1, lease: 1_000, wait: 0, ...call }),
        "xack",
      ],
    ] as const,
  )("'%s' without a right is refused by the command's name", async (_, run, command) => {
    await server.send("FLUSHALL");
    await server.send("XADD", "{relevo:default}:waiting", "*", "payload", "1");
    await server.send(
      "ACL",
      "SETUSER",
      "lacking",
      "reset",
      "on",
      ">secret",
      "~*",
      "&*",
      "+@all",
      `-${command}`,
    );
    await using transport = redis({ url: `redis://lacking:secret@127.0.0.1:${server.port}`, warn: () => {} });
    await expect(run(transport)).rejects.toMatchObject({
      code: "TRANSPORT_FORBIDDEN",
      message: expect.stringContaining(`'${command.toUpperCase()}'`),
    });
  });

  test.each([true, false])(
    "a batch of jobs side by side is settled, with the right for 'xtrim': %s",
    async (may) => {
      await server.send("FLUSHALL");
      await server.send("ACL", "LOG", "RESET");
      const rights = [...ROLES.get("worker") ?? [], may ? "+xtrim" : "-xtrim"];
      await server.send("ACL", "SETUSER", "worker", "reset", ...rights);
      await using transport = redis({
        url: `redis://worker:secret@127.0.0.1:${server.port}`,
        warn: () => {},
      });
      await using relay = createRelay({ jobs: JOBS, transport, log: false });
      await relay.dispatch("mail", null);
      await relay.dispatchMany(Array.from({ length: 60 }, () => ({ name: "mail", payload: null })));
      let done = 0;
      relay.handle("mail", () => void done++);
      await relay.drain({ concurrency: 100 });
      expect(done).toBe(61);
      expect(await server.send("XLEN", "{relevo:default}:waiting")).toBe(0);
      const log = await server.send("ACL", "LOG") as readonly (readonly unknown[])[];
      expect(log.some((line) => String(line[7]) === "xtrim")).toBe(!may);
    },
  );
});

test(
  "a command that the server knows by another name is told by its own, and INFO need not be there",
  async () => {
    await using own = await startRedis({ config: { "rename-command": "TIME HIDDEN" } });
    await using transport = redis({ url: own.url, warn: () => {} });
    await using relay = createRelay({ jobs: JOBS, transport, log: false });
    const refused = { code: "TRANSPORT_FORBIDDEN", message: expect.stringMatching(/does not know 'TIME'/) };
    await expect(relay.dispatch("mail", null)).rejects.toMatchObject(refused);
    await expect(relay.info("default")).rejects.toMatchObject(refused);
    await using other = await startRedis({ config: { "rename-command": "INFO HIDDEN" } });
    await using works = redis({ url: other.url, warn: () => {} });
    expect(await works.queues(call)).toEqual([]);
  },
  120_000,
);
