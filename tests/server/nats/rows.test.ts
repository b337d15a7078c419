/** What the brokers over JetStream that others wrote do, or fail to do, as relays and other clients see it here. */
import { createHash } from "node:crypto";
import { expect } from "vitest";
import { deadLetter, fixed, type QueueInfo } from "../../../mod.ts";
import { door, free, rejection, running } from "../../web/support/kit.ts";
import { becomes } from "../support/becomes.ts";
import { testByClock } from "../../web/support/real_clock.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { spawnScript } from "../support/spawn.ts";
import { type Ground, groundOn, worksUntil } from "./ground.ts";
import { lettersIn } from "./support.ts";

const PATIENCE = 120_000;
const EMPTY: QueueInfo = { waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0 };
const jobs = {
  work: { schema: free<unknown>(), queue: "work" },
  told: { schema: free<number>(), queue: "told", topic: true },
} as const;
const HOLDS = new URL("./fixtures/holds.ts", import.meta.url);

/** Leases are of a second and more: what stands in their way is no fault of the transport. */
const patient = testByClock(250);

interface StreamState {
  readonly config: { readonly subjects: readonly string[]; readonly description?: string };
}

interface ConsumerState {
  readonly config: {
    readonly durable_name: string;
    readonly filter_subjects?: readonly string[];
    readonly max_deliver: number;
  };
  readonly num_ack_pending: number;
}

const streamOf = async (ground: Ground, name: string): Promise<StreamState> =>
  await ground.api(`STREAM.INFO.${name}`) as unknown as StreamState;
const consumerOf = async (ground: Ground, name = "relevo"): Promise<ConsumerState> =>
  await ground.api(`CONSUMER.INFO.${ground.prefix}_work.${name}`) as unknown as ConsumerState;

describeOn(["nats"], `On NATS`, () => {
  const server = owned(() => startNats());

  function row(title: string, check: (ground: Ground) => Promise<void>): void {
    patient.concurrent(title, async () => {
      await using ground = groundOn(await server());
      await check(ground);
    }, PATIENCE);
  }

  for (const groups of [["one", "one"], ["one", "two"]]) {
    const runs = groups[0] === groups[1] ? 100 : 200;
    row(
      `F046: two relays in the groups ${groups.join(" and ")} run 100 jobs ${runs} times`,
      async (ground) => {
        const counts = groups.map(() => 0);
        const relays = groups.map((group, n) => {
          const relay = ground.relay(jobs);
          relay.handle("told", async () => {
            counts[n] = (counts[n] ?? 0) + 1;
            await new Promise((resolve) => setTimeout(resolve, 5));
          }, { group });
          return relay;
        });
        for (const group of groups) await ground.relay(jobs).bind("told", group);
        const workers = relays.map((relay) => running(relay, { concurrency: 1, prefetch: 0, poll: 100 }));
        await ground.relay(jobs).dispatchMany(
          Array.from({ length: 100 }, (_, n) => ({ name: "told" as const, payload: n })),
        );
        const sum = (): number => counts.reduce((all, one) => all + one);
        await becomes("all ran", () => sum() >= runs);
        for (const worker of workers) await worker.abort();
        expect(sum()).toBe(runs);
        for (const count of counts) expect(count).toBeGreaterThan(0);
      },
    );
  }

  row(
    "F047, W11, W27: what was dispatched before any worker runs when one comes, and once",
    async (ground) => {
      const producer = ground.relay(jobs);
      for (let n = 0; n < 100; n++) await producer.dispatch("work", n);
      const seen: unknown[] = [];
      for (let round = 0; round < 2; round++) {
        const consumer = ground.relay(jobs);
        consumer.handle("work", (payload) => void seen.push(payload));
        await consumer.drain();
      }
      expect(seen).toEqual(Array.from({ length: 100 }, (_, n) => n));
      // Who comes later begins with what is not done.
      await producer.dispatch("work", "last");
      const last = ground.relay(jobs);
      last.handle("work", (payload) => void seen.push(payload));
      await last.drain();
      expect(seen.slice(100)).toEqual(["last"]);
    },
  );

  row(
    "F048: the first use makes a queue's stream, and a second start finds it as it is",
    async (ground) => {
      await ground.relay(jobs).dispatch("work", 1);
      const before = await streamOf(ground, `${ground.prefix}_work`);
      expect(before.config.subjects).toEqual([`${ground.prefix}.work.>`]);
      const again = ground.relay(jobs, { ackWait: 6_000 });
      await again.dispatch("work", 2);
      expect(await again.info("work")).toMatchObject({ waiting: 2 });
      expect((await streamOf(ground, `${ground.prefix}_work`)).config).toEqual(before.config);
    },
  );

  row(
    "F049, W24: names that overlap, or are no names for a stream, are queues of their own",
    async (ground) => {
      const hashed = (queue: string): string =>
        `${queue.slice(0, 170).replaceAll(/[^\p{L}\p{Nd}_-]/gu, "_")}_${
          createHash("sha256").update(queue).digest("hex").slice(0, 8)
        }`;
      const long = "n".repeat(255);
      const names = [
        "plain-1_A",
        "orders.created",
        "orders.*",
        "orders.>",
        "a b",
        "ä/ö\\ü",
        "🚀",
        "日本.語",
        "a.b",
        "a_b_9a2bd3c4",
        long,
      ];
      const mixed = Object.fromEntries(
        names.map((queue, n) => [`job${n}`, { schema: free<string>(), queue }]),
      );
      const relay = ground.relay(mixed);
      const seen: string[] = [];
      for (const [n, queue] of names.entries()) {
        relay.handle(`job${n}`, (payload) => void seen.push(`${payload} of ${queue}`));
        await relay.dispatch(`job${n}`, `job${n}`);
      }
      expect((await relay.queues()).toSorted()).toEqual(names.toSorted());
      for (const queue of names) {
        expect(await relay.info(queue)).toMatchObject({ waiting: 1 });
        const stream = `${ground.prefix}_${queue === "plain-1_A" ? queue : hashed(queue)}`;
        expect(await lettersIn(ground.server, stream), stream).toHaveLength(1);
      }
      await relay.drain();
      expect(seen.toSorted()).toEqual(names.map((queue, n) => `job${n} of ${queue}`).toSorted());
    },
  );

  row(
    "F050: the group is the durable consumer, and work goes on after a restart without loss",
    async (ground) => {
      const options = { group: "mine" };
      const first = ground.relay(jobs, options);
      const seen: unknown[] = [];
      first.handle("work", (payload) => void seen.push(payload));
      for (let n = 0; n < 20; n++) await first.dispatch("work", n);
      await first.drain({ limit: 7 });
      await first.close();
      const { config } = await consumerOf(ground, "mine");
      expect([config.durable_name, config.filter_subjects]).toEqual(["mine", [
        `${ground.prefix}.work.j.w.>`,
        `${ground.prefix}.work.in.>`,
      ]]);
      const second = ground.relay(jobs, options);
      second.handle("work", (payload) => void seen.push(payload));
      await second.drain();
      expect(seen.toSorted((a, b) => Number(a) - Number(b))).toEqual(
        Array.from({ length: 20 }, (_, n) => n),
      );
    },
  );

  row(
    "F051: what a handler ends well is acknowledged and gone, and what it fails comes again",
    async (ground) => {
      const relay = ground.relay(jobs);
      const attempts: number[] = [];
      relay.handle("work", async (_, { attempt }) => {
        attempts.push(attempt);
        await becomes("the server counts it", async () => (await consumerOf(ground)).num_ack_pending === 1);
        if (attempt === 1) throw new Error("once");
      });
      await relay.dispatch("work", "x");
      await worksUntil(
        relay,
        "it ran twice",
        async () => attempts.length === 2 && (await relay.info("work")).reserved === 0,
        { backoff: fixed(10) },
      );
      expect(attempts).toEqual([1, 2]);
      expect((await consumerOf(ground)).num_ack_pending).toBe(0);
      expect(await lettersIn(ground.server, `${ground.prefix}_work`)).toEqual([]);
    },
  );

  for (const [maxDeliver, runs] of [[undefined, 3], [5, 5]] as const) {
    row(
      `F052, F054, W12: with a maxDeliver of ${
        maxDeliver ?? "its default"
      } a job that fails runs ${runs} times`,
      async (ground) => {
        const relay = ground.relay(jobs, { maxDeliver });
        let count = 0;
        relay.handle("work", () => {
          count++;
          throw new Error("always");
        });
        await relay.dispatch("work", "x");
        const dead = async (): Promise<boolean> => (await relay.info("work")).failed === 1;
        await worksUntil(relay, "it is dead", dead, { backoff: fixed(10) });
        expect(count).toBe(runs);
        const [kept] = (await relay.list("work", "failed")).jobs;
        expect(kept).toMatchObject({ name: "work", attempts: runs, lastError: { message: "always" } });
      },
    );
  }

  row("F053: what a killed worker held runs elsewhere after its ackWait of 1 s", async (ground) => {
    await using child = spawnScript(HOLDS, [ground.server.url, ground.prefix, "1000"]);
    expect(await child.next()).toBe("ready");
    const relay = ground.relay(jobs, { ackWait: 1_000 });
    const dispatched = performance.now();
    await relay.dispatch("work", "x");
    expect(await child.next()).toBe("began");
    child.kill("SIGKILL");
    await child.exited;
    const killed = performance.now();
    let ran = 0;
    relay.handle("work", () => void (ran = performance.now()));
    await worksUntil(relay, "it ran", () => ran > 0);
    expect(ran - dispatched).toBeGreaterThan(990);
    // A lease of the default would end after half a minute.
    expect(ran - killed).toBeLessThan(20_000);
  });

  row(
    "F053, W13: a handler of 3 s with an ackWait of 1 s runs once, though others wait for jobs",
    async (ground) => {
      let runs = 0;
      let ends = 0;
      const relays = [1, 2].map(() => {
        const relay = ground.relay(jobs, { ackWait: 1_000 });
        relay.handle("work", async () => {
          runs++;
          await new Promise((resolve) => setTimeout(resolve, 3_000));
          ends++;
        });
        return relay;
      });
      const workers = relays.map((relay) => running(relay, { lease: 1_000, poll: 100 }));
      await relays[0]?.dispatch("work", "long");
      await becomes("it is done", async () => ends > 0 && (await relays[0]?.info("work"))?.reserved === 0);
      for (const worker of workers) await worker.abort();
      expect([runs, ends]).toEqual([1, 1]);
    },
  );

  row("W14: the gaps between the runs of a job that fails are those of its backoff", async (ground) => {
    const relay = ground.relay(jobs);
    const times: number[] = [];
    relay.handle("work", () => {
      times.push(performance.now());
      throw new Error("always");
    });
    await relay.dispatch("work", "x", { maxAttempts: 3 });
    await worksUntil(relay, "three runs", () => times.length === 3, { backoff: fixed(400) });
    for (const [n, time] of times.entries()) {
      if (n > 0) expect(time - (times[n - 1] ?? 0)).toBeGreaterThanOrEqual(395);
    }
  });

  row("F078: a failed run is delayed and not reserved, and the next is attempt 2", async (ground) => {
    const relay = ground.relay(jobs);
    const attempts: unknown[] = [];
    relay.handle("work", (payload, { attempt }) => {
      attempts.push([payload, attempt]);
      throw new Error("always");
    });
    const { id } = await relay.dispatch("work", "late", { maxAttempts: 2, backoff: fixed(3_600_000) });
    await relay.drain();
    expect(await relay.info("work")).toEqual({ ...EMPTY, delayed: 1 });
    expect((await relay.list("work", "delayed")).jobs).toMatchObject([{ id, attempts: 1 }]);
    await relay.dispatch("work", "soon", { maxAttempts: 2, backoff: fixed(100) });
    const dead = async (): Promise<boolean> => (await relay.info("work")).failed === 1;
    await worksUntil(relay, "it is dead", dead);
    expect(attempts).toEqual([["late", 1], ["soon", 1], ["soon", 2]]);
    expect(await relay.info("work")).toEqual({ ...EMPTY, delayed: 1, failed: 1 });
  });

  row("F079: a job out of attempts is in 'failed', with its error and what it carried", async (ground) => {
    const relay = ground.relay(jobs);
    relay.handle("work", () => {
      throw new Error("no such address");
    });
    const { id } = await relay.dispatch("work", { n: 1 }, { maxAttempts: 1 });
    await relay.drain();
    expect(await relay.info("work")).toEqual({ ...EMPTY, failed: 1 });
    const dead = await relay.get("work", id);
    expect([dead?.dead?.reason, dead?.lastError?.message]).toEqual(["exhausted", "no such address"]);
    expect(new TextDecoder().decode(dead?.payload)).toBe(`{"n":1}`);
  });

  row(
    "F080: what a killed worker held is in 'timeout' soon after, and in no other channel",
    async (ground) => {
      await using child = spawnScript(HOLDS, [ground.server.url, ground.prefix, "1000"]);
      expect(await child.next()).toBe("ready");
      const relay = ground.relay(jobs, { ackWait: 1_000 });
      let runs = 0;
      relay.handle("work", () => void runs++);
      await relay.dispatch("work", "x");
      expect(await child.next()).toBe("began");
      child.kill("SIGKILL");
      await child.exited;
      const dead = async (): Promise<boolean> => (await relay.info("work")).timeout === 1;
      await worksUntil(relay, "it is dead", dead, { maxLost: 0, lease: 1_000 });
      expect(runs).toBe(0);
      expect(await relay.info("work")).toEqual({ ...EMPTY, timeout: 1 });
      expect((await relay.list("work", "timeout")).jobs).toMatchObject([{
        lost: 1,
        dead: { reason: "lost" },
      }]);
    },
  );

  row(
    "F081: reloaded jobs run once more each, and those that fail again are dead again",
    async (ground) => {
      const relay = ground.relay(jobs);
      const attempts: number[] = [];
      relay.handle("work", (_, { attempt }) => {
        attempts.push(attempt);
        throw new Error("always");
      });
      for (let n = 0; n < 3; n++) await relay.dispatch("work", n, { maxAttempts: 1 });
      await relay.drain();
      expect(await relay.reload("work", "failed", "all")).toEqual({ reloaded: 3, taken: 0 });
      await relay.drain();
      expect(attempts).toEqual([1, 1, 1, 2, 2, 2]);
      expect(await relay.info("work")).toEqual({ ...EMPTY, failed: 3 });
      const reload = relay.reload as (queue: string, channel: string, select: string) => Promise<unknown>;
      expect((await rejection(reload("work", "waiting", "all"))).message).toContain(
        "'channel' must be one of",
      );
    },
  );

  row(
    "F082: a flush empties its channel and no other, and an unknown channel is refused",
    async (ground) => {
      const relay = ground.relay(jobs);
      const off = relay.handle("work", () => deadLetter({ reason: "spam" }));
      for (let n = 0; n < 3; n++) await relay.dispatch("work", n);
      await relay.drain();
      off[Symbol.dispose]();
      await relay.dispatch("work", "stays");
      const remove = relay.remove as (queue: string, channel: string, select: string) => Promise<number>;
      expect((await rejection(remove("work", "{app}:failed", "all"))).message).toContain(
        "'channel' must be one of",
      );
      expect(await relay.remove("work", "failed", "all")).toBe(3);
      const { oldest: _, ...counts } = await relay.info("work");
      expect(counts).toEqual({ ...EMPTY, waiting: 1 });
      expect(await relay.remove("work", "timeout", "all")).toBe(0);
    },
  );

  row("F083: info counts each channel exactly", async (ground) => {
    const relay = ground.relay(jobs);
    const { opened, open } = door();
    relay.handle("work", async (payload) => {
      if (payload === "holds") await opened;
      else throw new Error("always");
    });
    for (let n = 0; n < 2; n++) await relay.dispatch("work", "fails", { maxAttempts: 1 });
    await relay.drain();
    for (let n = 0; n < 3; n++) await relay.dispatch("work", "holds");
    const worker = running(relay, { poll: 100, concurrency: 3 });
    await becomes("they run", async () => (await relay.info("work")).reserved === 3);
    for (let n = 0; n < 4; n++) await relay.dispatch("work", "later", { delay: 60_000 });
    const stopped = worker.worker.stop();
    for (let n = 0; n < 5; n++) await relay.dispatch("work", "waits");
    const counts = { waiting: 5, delayed: 4, reserved: 3, failed: 2, timeout: 0 };
    await becomes("all are counted", async () => {
      const { oldest: _, ...now } = await relay.info("work");
      return JSON.stringify(now) === JSON.stringify(counts);
    });
    open();
    await stopped;
    await expect(relay.info("elsewhere")).rejects.toThrow("no job in the store names the queue");
  });

  row("W24: what an operator set is never overwritten, and what differs is told", async (ground) => {
    await ground.relay(jobs).dispatch("work", 1);
    const stream = `${ground.prefix}_work`;
    const { config } = await streamOf(ground, stream);
    const mine = { ...config, description: "mine", max_consumers: 10 };
    expect((await ground.api(`STREAM.UPDATE.${stream}`, mine))["error"]).toBeUndefined();
    const before = [(await streamOf(ground, stream)).config, (await consumerOf(ground)).config];
    const told: string[] = [];
    const warn = (message: string): void => void told.push(message);
    const relay = ground.relay(jobs, { ackWait: 2_000, replicas: 1, storage: "memory", warn });
    relay.handle("work", () => {});
    await relay.dispatch("work", 2);
    await relay.drain();
    expect([(await streamOf(ground, stream)).config, (await consumerOf(ground)).config]).toEqual(before);
    expect(told).toEqual([
      expect.stringMatching(/storage is 'file', .*'memory', .*ack wait of 5000 ms, .*2000$/),
    ]);
    expect(before[0]).toMatchObject({ description: "mine" });
    expect(await relay.info("work")).toEqual(EMPTY);
  });
});
