/** The servers that other tests stand on: what they are promised of them. */
import { existsSync, rmSync } from "node:fs";
import process from "node:process";
import { expect, onTestFinished, test } from "vitest";
import { spawnScript } from "../support/spawn.ts";
import { startNats } from "../support/servers/nats.ts";
import { startNatsCluster } from "../support/servers/nats_cluster.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { isKept } from "../support/servers/ports.ts";
import { type RedisName, startRedis } from "../support/servers/redis.ts";
import { startRedisWorld } from "../support/servers/redis_world.ts";
import { connectResp } from "../support/servers/resp.ts";
import { startRedisCluster } from "../support/servers/redis_cluster.ts";

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

for (const server of ["redis7", "redis8", "valkey8"] satisfies readonly RedisName[]) {
  describeOn([server], `the server ${server}`, () => {
    const shared = owned(() => startRedis({ server, users: ["app on >secret ~app:* +@all"] }));

    test("keeps what it acknowledged when it is killed", async () => {
      const redis = await shared();
      await redis.send("SET", "kept", "1");
      const before = redis.pid();
      await redis.kill();
      expect(redis.pid()).toBe(0);
      expect(runs(before)).toBe(false);
      await redis.start();
      expect(await redis.send("GET", "kept")).toBe("1");
    });

    test("answers nobody while it is paused", async () => {
      const redis = await shared();
      const client = await redis.admin();
      redis.pause();
      let answered = false;
      const pong = client.send("PING").finally(() => answered = true);
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(answered).toBe(false);
      redis.resume();
      expect(await pong).toBe("PONG");
      await client[Symbol.asyncDispose]();
    });
  });
}

for (const server of ["redis7", "redis8", "valkey8"] satisfies readonly RedisName[]) {
  describeOn([server, "clock"], `the server ${server} under a clock of its own`, () => {
    const shared = owned(() => startRedisWorld({ server }));

    test("sees the time that the runtime sees, and no other", async () => {
      const { server, begin } = await shared();
      const runtime = begin();
      const time = async (): Promise<number> => {
        const [seconds, micros] = await server.send("TIME") as readonly string[];
        return Number(seconds) * 1_000 + Number(micros) / 1_000;
      };
      const before = await time();
      expect(before).toBe(runtime.now());
      await runtime.advance(86_400_001);
      expect(await time()).toBe(before + 86_400_001);
      runtime.step(-1_000);
      expect(await time()).toBe(before + 86_399_001);
    });

    test("is waited for by whoever moves the clock", async () => {
      const { server, begin } = await shared();
      const runtime = begin();
      let rounds = 0;
      const talk = async (): Promise<void> => {
        await runtime.sleep(1_000);
        for (; rounds < 20; rounds++) await server.send("PING");
      };
      const over = talk();
      await runtime.advance(1_000);
      expect(rounds).toBe(20);
      await over;
    });
  });
}

describeOn(["redis7"], "a Redis Cluster", () => {
  const shared = owned(() => startRedisCluster());

  test("goes on without a master", async () => {
    const cluster = await shared();
    const owner = await cluster.ownerOf("key");
    await owner.send("SET", "key", "1");
    await owner.send("WAIT", 1, 5_000);
    await owner.kill();
    await cluster.healthy();
    const heir = await cluster.ownerOf("key");
    expect(heir.port).not.toBe(owner.port);
    expect(await heir.send("GET", "key")).toBe("1");
  });
});

describeOn(["nats"], `the server NATS`, () => {
  const shared = owned(() => startNats());

  test("keeps what it acknowledged when it is killed", async () => {
    const nats = await shared();
    const before = await nats.raw();
    await before.request("$JS.API.STREAM.CREATE.S", JSON.stringify({ name: "S", subjects: ["s"] }));
    await before.request("s", "kept");
    await before[Symbol.asyncDispose]();
    await nats.kill();
    await nats.start();
    const after = await nats.raw();
    expect(await after.request("$JS.API.STREAM.INFO.S")).toContain(`"messages":1,`);
    await after[Symbol.asyncDispose]();
  });
});

describeOn(["nats"], "a NATS cluster", () => {
  const shared = owned(() => startNatsCluster());

  test("stores what any of its nodes is given", async () => {
    const { nodes: [first, second] } = await shared();
    const one = await first?.raw();
    const config = { name: "S", subjects: ["s"], num_replicas: 3 };
    await one?.request("$JS.API.STREAM.CREATE.S", JSON.stringify(config));
    const other = await second?.raw();
    // The other node hears a moment later that somebody wants what is sent there.
    await expect.poll(() => other?.request("s", "text")).toContain(`"seq":1`);
    await one?.[Symbol.asyncDispose]();
    await other?.[Symbol.asyncDispose]();
  });
});

test("a port that was claimed is no other process's until it is given back, be its server down", async () => {
  const child = spawnScript(new URL("./fixtures/claims.ts", import.meta.url));
  onTestFinished(() => child[Symbol.asyncDispose]());
  const port = Number(await child.next());
  expect(await isKept(port)).toBe(true);
  child.write("give back");
  expect(await child.next()).toBe("given back");
  expect(await isKept(port)).toBe(false);
});

describeOn(["redis7", "nats"], "servers", () => {
  test("are told from one of another kind that has their port", async () => {
    const nats = await startNats();
    onTestFinished(() => nats[Symbol.asyncDispose]());
    await expect(connectResp(nats.port, ["any", "any"])).rejects.toThrow(/^Not an answer of Redis: INFO/);
  });

  test("die with the process that started them, even if it is killed", async () => {
    const child = spawnScript(new URL("./fixtures/starts.ts", import.meta.url));
    const started = JSON.parse(await child.next()) as { readonly pid: number; readonly folders: string[] }[];
    expect(started.map(({ pid }) => runs(pid))).toEqual([true, true]);
    child.kill("SIGKILL");
    await child.exited;
    while (started.some(({ pid }) => runs(pid))) await new Promise((resolve) => setTimeout(resolve, 10));
    for (const folder of started.flatMap(({ folders }) => folders)) {
      expect(existsSync(folder)).toBe(true);
      rmSync(folder, { recursive: true });
    }
  });
});
