/** What is wrong with a server, its permissions, its streams, or what others put there: told, and no job is lost by it. */
import { expect, test } from "vitest";
import { createRelay, fixed, type QueueInfo, type Relay, TransportError } from "../../../mod.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { checked, free, heard, rejection, running, wrapped } from "../../web/support/kit.ts";
import { type NatsName, type NatsOptions, startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { type Ground, groundOn, worksUntil } from "./ground.ts";

const PATIENCE = 30_000;
const EMPTY: QueueInfo = { waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0 };
const jobs = {
  work: {
    schema: checked<{ readonly n: number }>((value) =>
      typeof value === "object" && value !== null && "n" in value ? [] : [{ message: "no n", path: [] }]
    ),
    queue: "work",
  },
};
const BOSS = { user: "boss", pass: "p" };
/** Milliseconds for which a worker that is refused is watched, and what it may send in them. */
const WATCHED = 1_000;
const FEW = 60;

/** A server that lets `poor` do all but this. */
const denying = (denied: string): NatsOptions => ({
  config: `authorization { users = [
    { user: boss, password: p }
    { user: poor, password: p, permissions: { ${denied} } } ] }`,
  auth: BOSS,
});

/** Whoever is refused asks again a few times, and does not storm the server. */
async function isCalm({ server }: Ground, relay: Relay<typeof jobs>): Promise<void> {
  const worker = running(relay, { poll: 100 });
  const messages = async (): Promise<number> => {
    const { in_msgs, total_connections } = await server.monitor("/varz");
    return Number(in_msgs) + Number(total_connections);
  };
  const before = await messages();
  await new Promise((resolve) => setTimeout(resolve, WATCHED));
  expect(await messages() - before).toBeLessThan(FEW);
  expect(worker.ended).toBe(false);
  await worker.abort();
}

for (const name of ["nats29", "nats"] satisfies NatsName[]) {
  describeOn([name], `${name}, which refuses`, () => {
    const plain = owned(() => startNats({ server: name }));

    /** On a server of its own where it is to be set up otherwise. */
    function on(
      title: string,
      options: NatsOptions,
      check: (ground: Ground) => Promise<void>,
    ): void {
      test.concurrent(title, async () => {
        await using server = await startNats({ ...options, server: name });
        await using ground = groundOn(server);
        await check(ground);
      }, PATIENCE);
    }

    function row(title: string, check: (ground: Ground) => Promise<void>): void {
      test.concurrent(title, async () => {
        await using ground = groundOn(await plain());
        await check(ground);
      }, PATIENCE);
    }

    on(
      "a wrong password: dispatches are refused, a worker waits and repeats none of it",
      denying(""),
      async (ground) => {
        const relay = ground.relay(jobs, { user: "boss", pass: "wr0ng" });
        relay.handle("work", () => {});
        const states = heard(relay.events, "connection");
        const reason = await rejection(relay.dispatch("work", { n: 1 }));
        expect(reason).toMatchObject({ code: "TRANSPORT_UNAVAILABLE" });
        expect(reason.message).toContain("credentials");
        await isCalm(ground, relay);
        expect(states.map(({ state }) => state)).toEqual(["down"]);
        expect(JSON.stringify([String(reason), states, String(reason.cause)])).not.toContain("wr0ng");
      },
    );

    on(
      "JetStream that is off: dispatches are refused, a worker waits",
      { jetstream: false },
      async (ground) => {
        const relay = ground.relay(jobs);
        relay.handle("work", () => {});
        const reason = await rejection(relay.dispatch("work", { n: 1 }));
        expect(reason).toMatchObject({ code: "TRANSPORT_UNAVAILABLE" });
        expect(reason.message).toContain("JetStream");
        await isCalm(ground, relay);
      },
    );

    const DENIED = {
      "the subjects of jobs": ['publish: { deny: ["*.work.w.>"] }', "publish to"],
      "the making of streams": ['publish: { deny: ["$JS.API.STREAM.CREATE.>"] }', "publish to"],
      "the looking at streams": ['publish: { deny: ["$JS.API.STREAM.INFO.>"] }', "publish to"],
      "the making of consumers": ['publish: { deny: ["$JS.API.CONSUMER.>"] }', "publish to"],
      "the subjects of answers": ['subscribe: { deny: ["_INBOX.>"] }', "subscribe to"],
    } as const;
    for (const [what, [permissions, verb]] of Object.entries(DENIED)) {
      on(
        `${what}: a typed error that names the subject, and the next user's job is stored`,
        denying(permissions),
        async (ground) => {
          const poor = ground.relay(jobs, { user: "poor", pass: "p" });
          poor.handle("work", () => {});
          const begun = performance.now();
          for (let n = 0; n < 2; n++) {
            const reason = await rejection(poor.dispatch("work", { n }));
            expect(reason).toMatchObject({ code: "TRANSPORT_UNAVAILABLE" });
            expect(reason.message).toMatch(new RegExp(`Cannot ${verb} '.+' as the server permits it not`));
          }
          // Long before a call is given up.
          expect(performance.now() - begun).toBeLessThan(5_000);
          if (what !== "the subjects of jobs") await isCalm(ground, poor);
          const boss = ground.relay(jobs, BOSS);
          await boss.dispatch("work", { n: 2 });
          expect(await boss.info("work")).toMatchObject({ waiting: 1 });
        },
      );
    }

    on(
      "the pulls of jobs: a worker is told, and leaves the job to others",
      denying('publish: { deny: ["$JS.API.CONSUMER.MSG.NEXT.>"] }'),
      async (ground) => {
        const poor = ground.relay(jobs, { user: "poor", pass: "p" });
        poor.handle("work", () => {});
        const states = heard(poor.events, "connection");
        await poor.dispatch("work", { n: 1 });
        await isCalm(ground, poor);
        expect(states).toMatchObject([{ state: "down", error: { code: "TRANSPORT_UNAVAILABLE" } }]);
        expect(String(states[0]?.error)).toContain("MSG.NEXT");
        const boss = ground.relay(jobs, BOSS);
        const seen: number[] = [];
        boss.handle("work", ({ n }) => void seen.push(n));
        await boss.drain();
        expect(seen).toEqual([1]);
      },
    );

    on(
      "answers anywhere but under a subject of their own: 'inboxPrefix' says where",
      denying('subscribe: { allow: ["_MINE.>"] }'),
      async (ground) => {
        const relay = ground.relay(jobs, { user: "poor", pass: "p", inboxPrefix: "_MINE" });
        const seen: number[] = [];
        relay.handle("work", ({ n }) => void seen.push(n));
        await relay.dispatch("work", { n: 1 });
        await relay.drain();
        expect(seen).toEqual([1]);
      },
    );

    row("a name of 300 characters, before anything is sent", async (ground) => {
      expect(() => ground.relay({ work: { schema: free<number>(), queue: "n".repeat(300) } })).toThrow(
        RangeError,
      );
      expect(await rejection(ground.relay(jobs).info("n".repeat(300)))).toBeInstanceOf(RangeError);
    });

    row("a second group of one queue, as each job is for one worker", async (ground) => {
      await ground.relay(jobs).dispatch("work", { n: 1 });
      const other = ground.relay(jobs, { group: "other" });
      expect(await rejection(other.info("work"))).toMatchObject({ code: "TRANSPORT_INCOMPATIBLE" });
    });

    row(
      "messages of others without a body, without JSON, or with wrong JSON are dead with their reasons",
      async (ground) => {
        const relay = ground.relay(jobs);
        const seen: number[] = [];
        relay.handle("work", ({ n }) => void seen.push(n));
        await relay.dispatch("work", { n: 1 });
        await using client = await ground.server.raw();
        for (const body of ["", "no {json", `{"m":1}`, `{"n":2}`]) {
          await client.request(`${ground.prefix}.work.w.x`, body);
        }
        await relay.dispatch("work", { n: 3 });
        await worksUntil(relay, "all others ran", () => seen.length === 3);
        expect(seen.toSorted()).toEqual([1, 2, 3]);
        const { jobs: dead } = await relay.list("work", "failed");
        expect(dead.map((one) => one.dead?.reason).toSorted()).toEqual(["invalid", "invalid", "undecodable"]);
        expect(await relay.info("work")).toEqual({ ...EMPTY, failed: 3 });
      },
    );

    on(
      "a payload over its limit: refused alone, before it is sent",
      { config: "max_payload: 64KB" },
      async (ground) => {
        const relay = ground.relay(jobs);
        await relay.dispatch("work", { n: 1 });
        const text = "x".repeat(64 * 1024);
        const reason = await rejection(relay.dispatch("work", { n: 2, text } as { readonly n: number }));
        expect(reason).toMatchObject({ code: "TOO_LARGE" });
        await relay.dispatch("work", { n: 3 });
        expect(await relay.info("work")).toMatchObject({ waiting: 2 });
      },
    );

    on("a payload over its stream's limit: refused alone, before it is sent", {}, async (ground) => {
      const stream = `${ground.prefix}_work`;
      await ground.relay(jobs).dispatch("work", { n: 1 });
      const { config } = await ground.api(`STREAM.INFO.${stream}`);
      await ground.api(`STREAM.UPDATE.${stream}`, { ...config as object, max_msg_size: 4_096 });
      const relay = ground.relay(jobs);
      const text = "x".repeat(4_096);
      const reason = await rejection(relay.dispatch("work", { n: 2, text } as { readonly n: number }));
      expect(reason).toMatchObject({ code: "TOO_LARGE", limit: 4_096 - 2_048 });
      await relay.dispatch("work", { n: 3 });
      expect(await relay.info("work")).toMatchObject({ waiting: 2 });
    });

    for (const limit of ["max_msgs", "max_bytes"] as const) {
      row(
        `a job over its stream's ${limit}: others are worked on, one that fails too, and then there is room`,
        async (ground) => {
          const relay = ground.relay(jobs, { ackWait: 1_000 });
          const runs: number[] = [];
          relay.handle("work", ({ n }, { attempt }) => {
            runs.push(n);
            if (n === 0 && attempt === 1) throw new Error("once");
          });
          // Far more than what is written of an error.
          const text = "x".repeat(50_000);
          const put = (n: number): Promise<unknown> =>
            relay.dispatch("work", { n, text } as { readonly n: number }, {
              maxAttempts: 2,
              backoff: fixed(10),
            });
          await put(0);
          const stream = `${ground.prefix}_work`;
          const { config, state } = await ground.api(`STREAM.INFO.${stream}`) as unknown as {
            config: object;
            state: { bytes: number };
          };
          const most = limit === "max_msgs" ? 2 : Math.floor(state.bytes * 2.5);
          expect((await ground.api(`STREAM.UPDATE.${stream}`, { ...config, [limit]: most }))["error"])
            .toBeUndefined();
          await put(1);
          expect(await rejection(put(2))).toMatchObject({ code: "TRANSPORT_FULL" });
          const end = async (): Promise<boolean> =>
            JSON.stringify(await relay.info("work")) === JSON.stringify(EMPTY);
          await worksUntil(relay, "both are done", end, { lease: 1_000 });
          expect(new Set(runs)).toEqual(new Set([0, 1]));
          expect(runs.length).toBeLessThan(6);
          await put(3);
        },
      );
    }

    const DROPPING = {
      "old jobs for new ones": { discard: "old" },
      "all but the last job of an id": { max_msgs_per_subject: 1 },
      "jobs that are old": { max_age: 3_600_000_000_000 },
    };
    for (const [what, settings] of Object.entries(DROPPING)) {
      on(`a stream that drops ${what}: told when it is found, and left alone`, {}, async (ground) => {
        await ground.relay(jobs).dispatch("work", { n: 1 });
        const stream = `${ground.prefix}_work`;
        const { config } = await ground.api(`STREAM.INFO.${stream}`);
        const made = await ground.api(`STREAM.UPDATE.${stream}`, { ...config as object, ...settings });
        expect(made["error"]).toBeUndefined();
        const relay = ground.relay(jobs);
        relay.handle("work", () => {});
        const reason = await rejection(relay.dispatch("work", { n: 2 }));
        expect(reason).toBeInstanceOf(TransportError);
        expect(reason).toMatchObject({ code: "TRANSPORT_INCOMPATIBLE" });
        expect(reason.message).toContain("would be dropped");
        await isCalm(ground, relay);
        expect((await ground.api(`STREAM.INFO.${stream}`))["config"]).toEqual(made["config"]);
      });
    }

    test("a client that does not read, and is cut: the jobs come again, and all are done", async () => {
      await using server = await startNats({ server: name, config: `write_deadline: "100ms"` });
      await using ground = groundOn(server);
      const count = 120;
      const text = "x".repeat(400_000);
      const producer = ground.relay(jobs, { ackWait: 2_000 });
      for (let n = 0; n < count; n += 20) {
        await producer.dispatchMany(
          Array.from({ length: 20 }, (_, m) => ({ name: "work" as const, payload: { n: n + m, text } })),
        );
      }
      let looks = 0;
      const reading = nats({ servers: server.url, prefix: ground.prefix, ackWait: 2_000 });
      const transport = wrapped(reading, (inner) => ({
        reserve(queues, options) {
          // While the server sends what was asked for, and before the system makes more room for it.
          if (++looks <= MOST_BLOCKS && states.length === 0) setTimeout(block, 5);
          return inner.reserve(queues, options);
        },
      }));
      await using consumer = createRelay({ jobs, transport });
      const seen = new Set<number>();
      consumer.handle("work", ({ n }) => void seen.add(n));
      const states = heard(consumer.events, "connection");
      // From here on the first thing that it asks for is jobs.
      await consumer.info("work");
      const done = async (): Promise<boolean> => {
        const { waiting, reserved, delayed } = await producer.info("work");
        return waiting + reserved + delayed === 0;
      };
      await worksUntil(consumer, "all are done", done, { lease: 2_000, concurrency: 60 });
      expect(seen.size).toBe(count);
      expect(Number((await server.monitor("/varz"))["slow_consumers"])).toBeGreaterThan(0);
      expect(states.map(({ state }) => state)).toContain("down");
      expect((await producer.info("work")).timeout).toBe(0);
    }, PATIENCE);
  });
}

/** Milliseconds for which a thread reads nothing, and how often at most. */
const BLOCK = 1_000;
const MOST_BLOCKS = 4;

function block(): void {
  const end = performance.now() + BLOCK;
  while (performance.now() < end);
}
