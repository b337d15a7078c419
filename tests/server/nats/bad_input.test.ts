/** What is wrong with a server, its permissions, its streams, or what others put there: told, and no job is lost by it. */
import { expect, test } from "vitest";
import {
  createRelay,
  type DispatchOptions,
  fixed,
  type QueueInfo,
  type Relay,
  TransportError,
} from "../../../mod.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { checked, door, free, heard, rejection, running, wrapped } from "../../web/support/kit.ts";
import { becomes } from "../support/becomes.ts";
import { type NatsOptions, startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { type Ground, groundOn, worksUntil } from "./ground.ts";

const PATIENCE = 120_000;
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
/** Milliseconds in which a refusal is told on a busy machine, too: long before a call is given up. */
const SOON = 20_000;
/** Milliseconds for which a worker that is refused is watched, and what it may send in them. */
const WATCHED = 1_000;
const FEW = 60;
/** What one call may send that looks through a stream: it asks for 256 messages at once. */
const SOME = 2 * 256 + FEW;

/** A server that lets `poor` do all but this. */
const denying = (denied: string): NatsOptions => ({
  config: `authorization { users = [
    { user: boss, password: p }
    { user: poor, password: p, permissions: { ${denied} } } ] }`,
  auth: BOSS,
});

/** How a handler ends when it is told to stop, or its time is over. */
const untilTold = (signal: AbortSignal): Promise<void> =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
const failing = (): never => {
  throw new Error("no paper");
};

/** What the end of a run is published to, how a handler ends so, and what is said of its job. */
const ENDINGS: Readonly<
  Record<string, {
    readonly subject: string;
    readonly options: DispatchOptions;
    readonly handle: (signal: AbortSignal) => void | Promise<void>;
    /** The worker is stopped meanwhile. */
    readonly stops?: boolean;
  }>
> = {
  "what is done": { subject: "$JS.ACK.", options: {}, handle: () => {} },
  "what failed for good": { subject: "*.work.x.f.", options: { maxAttempts: 1 }, handle: failing },
  "what took too long": {
    subject: "*.work.x.t.",
    options: { maxAttempts: 1, timeout: 50 },
    handle: untilTold,
  },
  "what is to run again": { subject: "*.work.j.d.", options: { backoff: fixed(60_000) }, handle: failing },
  "what is given back": { subject: "*.work.j.b.", options: {}, handle: untilTold, stops: true },
};

/** What is published to beside the work on jobs, and calls that need it. */
const CALLS: Readonly<
  Record<string, {
    readonly subject: string;
    readonly call: (relay: Relay<typeof jobs>, id: string) => Promise<unknown>;
  }>
> = {
  "the dispatch of a delayed job": {
    subject: "*.work.j.d.",
    call: (relay) => relay.dispatch("work", { n: 3 }, { delay: 60_000 }),
  },
  "the look at a job": { subject: "$JS.API.DIRECT.GET.", call: (relay, id) => relay.get("work", id) },
  "the look for an id that may be taken": {
    subject: "$JS.API.DIRECT.GET.",
    call: (relay) => relay.dispatch("work", { n: 3 }, { id: "first" }),
  },
  "the removal of a job that waits": {
    subject: "$JS.API.STREAM.MSG.DELETE.",
    call: (relay) => relay.remove("work", "waiting", "all"),
  },
  "the removal of a dead job": {
    subject: "$JS.API.STREAM.PURGE.",
    call: (relay) => relay.remove("work", "failed", "all"),
  },
};

/** One user for each of these, who may not publish to its subjects, and one who may do all. */
const CASES = Object.entries({ ...ENDINGS, ...CALLS });
const userOf = (what: string): { readonly user: string; readonly pass: string } => ({
  user: `poor${CASES.findIndex(([title]) => title === what)}`,
  pass: "p",
});
const POOR = CASES.map(([what, { subject }]) =>
  `{ user: ${userOf(what).user}, password: p, permissions: { publish: { deny: ["${subject}>"] } } }`
);
const REFUSING: NatsOptions = {
  config: `authorization { users = [\n{ user: boss, password: p }\n${POOR.join("\n")} ] }`,
  auth: BOSS,
};

/** What is said of a subject that begins so. */
function saysSo(error: Error | undefined, subject: string): void {
  expect(error).toMatchObject({ code: "TRANSPORT_FORBIDDEN" });
  expect(error?.message).toMatch(/^Cannot publish to '.+' as the server permits it not$/);
  expect(error?.message).toContain(subject.replace("*", ""));
}

/** Whether there is no job in the queue, not even a dead one. */
async function isEmpty(relay: Relay<typeof jobs>): Promise<boolean> {
  return JSON.stringify(await relay.info("work")) === JSON.stringify(EMPTY);
}

/** Messages that the connections of a user have sent. */
async function sentBy({ server }: Ground, { user }: { readonly user: string }): Promise<number> {
  const { connections } = await server.monitor("/connz?auth=true&state=any&limit=1000") as {
    readonly connections: readonly { readonly authorized_user?: string; readonly in_msgs: number }[];
  };
  const own = connections.filter(({ authorized_user }) => authorized_user === user);
  return own.reduce((sum, { in_msgs }) => sum + in_msgs, own.length);
}

/** A refused client asks again a few times, and does not storm the server. */
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

describeOn(["nats"], `NATS, which refuses`, () => {
  const plain = owned(() => startNats());

  /** On a server of its own where it is to be set up otherwise. */
  function on(
    title: string,
    options: NatsOptions,
    check: (ground: Ground) => Promise<void>,
  ): void {
    test.concurrent(title, async () => {
      await using server = await startNats(options);
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
    "the subjects of jobs": ['publish: { deny: ["*.work.j.w.>"] }', "publish to"],
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
          expect(reason).toMatchObject({ code: "TRANSPORT_FORBIDDEN" });
          expect(reason.message).toMatch(new RegExp(`Cannot ${verb} '.+' as the server permits it not`));
        }
        expect(performance.now() - begun).toBeLessThan(SOON);
        if (what !== "the subjects of jobs") await isCalm(ground, poor);
        const boss = ground.relay(jobs, BOSS);
        await boss.dispatch("work", { n: 2 });
        expect(await boss.info("work")).toMatchObject({ waiting: 1 });
      },
    );
  }

  const refusing = owned(() => startNats(REFUSING));

  /** On one server with many users. */
  function refused(title: string, check: (ground: Ground) => Promise<void>): void {
    test.concurrent(title, async () => {
      await using ground = groundOn(await refusing());
      await check(ground);
    }, PATIENCE);
  }

  for (const [what, { subject, options, handle, stops = false }] of Object.entries(ENDINGS)) {
    refused(
      `the telling of ${what}: a worker is told, asks again a few times, and another user's ends the job`,
      async (ground) => {
        const ackWait = 1_000;
        const user = userOf(what);
        const boss = ground.relay(jobs, { ...BOSS, ackWait });
        const poor = ground.relay(jobs, { ...user, ackWait }, { callTimeout: 5_000 });
        const runs: string[] = [];
        const states = heard(poor.events, "queue");
        poor.handle("work", (_, { signal }) => {
          runs.push("poor");
          return handle(signal);
        });
        await boss.dispatch("work", { n: 1 }, options);
        const working = { poll: 100, lease: ackWait, maxLost: 100 };
        const worker = running(poor, working);
        await becomes("it runs", () => runs.length > 0);
        const stopped = stops ? worker.abort() : undefined;
        await becomes("it is told", () => states.length > 0);
        // An extension is an acknowledgement, too, to which a busy machine may come first.
        const during = subject === "$JS.ACK." ? /^(settle|extend)$/ : /^settle$/;
        expect(states[0]).toMatchObject({
          queue: "work",
          state: "down",
          during: expect.stringMatching(during),
        });
        saysSo(states[0]?.error, subject);
        const before = await sentBy(ground, user);
        await new Promise((resolve) => setTimeout(resolve, WATCHED));
        expect(await sentBy(ground, user) - before).toBeLessThan(FEW);
        if (!stops) expect(worker.ended).toBe(false);
        await (stopped ?? worker.abort());
        await poor.close({ grace: 0 });
        boss.handle("work", () => void runs.push("boss"));
        await worksUntil(boss, "it is done", () => isEmpty(boss), working);
        // What is done may be known to be so, though the server has not heard it from whom it was to.
        if (subject !== "$JS.ACK.") expect(runs.at(-1)).toBe("boss");
      },
    );
  }

  for (const [what, { subject, call }] of Object.entries(CALLS)) {
    refused(`${what}: a typed error that names the subject, and no job is lost by it`, async (ground) => {
      const boss = ground.relay(jobs, BOSS);
      const user = userOf(what);
      const poor = ground.relay(jobs, user);
      const seen: number[] = [];
      const failed = boss.handle("work", failing);
      const { id } = await boss.dispatch("work", { n: 0 }, { maxAttempts: 1 });
      await boss.drain();
      failed[Symbol.dispose]();
      const { opened, open } = door();
      poor.handle("work", async ({ n }, { signal }) => {
        await Promise.race([opened, untilTold(signal)]);
        seen.push(n);
      });
      await boss.dispatch("work", { n: 1 }, { id: "first" });
      const worker = running(poor, { poll: 100, concurrency: 1, prefetch: 0 });
      await becomes("it runs", async () => (await boss.info("work")).reserved === 1);
      await boss.dispatch("work", { n: 2 });
      const before = await sentBy(ground, user);
      const begun = performance.now();
      const reason = await rejection(call(poor, id));
      expect(performance.now() - begun).toBeLessThan(SOON);
      saysSo(reason, subject);
      expect(await sentBy(ground, user) - before).toBeLessThan(SOME);
      expect(await boss.info("work")).toMatchObject({ waiting: 1, delayed: 0, reserved: 1, failed: 1 });
      open();
      await becomes(
        "the first is done",
        async () => seen.length > 0 && (await boss.info("work")).reserved < 2,
      );
      await worker.abort();
      await poor.close({ grace: 0 });
      boss.handle("work", ({ n }) => void seen.push(n));
      expect(await boss.reload("work", "failed", { ids: [id] })).toEqual({ reloaded: 1, taken: 0 });
      await worksUntil(boss, "all are done", () => isEmpty(boss));
      expect(seen.toSorted()).toEqual([0, 1, 2]);
    });
  }

  refused(
    "the end of a reload: a typed error that names the subject, and the job runs once",
    async (ground) => {
      const boss = ground.relay(jobs, BOSS);
      const poor = ground.relay(jobs, userOf("the removal of a job that waits"));
      const failed = boss.handle("work", failing);
      await boss.dispatch("work", { n: 1 }, { maxAttempts: 1 });
      await boss.drain();
      failed[Symbol.dispose]();
      saysSo(await rejection(poor.reload("work", "failed", "all")), "$JS.API.STREAM.MSG.DELETE.");
      // Half a reload is finished by the next.
      expect(await boss.reload("work", "failed", "all")).toEqual({ reloaded: 1, taken: 0 });
      const seen: number[] = [];
      boss.handle("work", ({ n }) => void seen.push(n));
      await boss.drain();
      expect(seen).toEqual([1]);
      expect(await boss.info("work")).toEqual(EMPTY);
    },
  );

  refused(
    "the end of a topic's job on its way: it is stored, and each group has it once",
    async (ground) => {
      const topics = { told: { schema: free<number>(), queue: "told", topic: true } } as const;
      const boss = ground.relay(topics, BOSS);
      const poor = ground.relay(topics, userOf("the removal of a job that waits"));
      for (const group of ["a", "b"]) await boss.bind("told", group);
      expect(await poor.dispatch("told", 1)).toMatchObject({ status: "stored" });
      expect(await boss.info("told@a")).toMatchObject({ waiting: 1 });
      // Who binds a group sends on what was left a while ago.
      await new Promise((resolve) => setTimeout(resolve, 2_100));
      await boss.bind("told", "a");
      const seen: string[] = [];
      for (const group of ["a", "b"]) {
        boss.handle("told", (n) => void seen.push(`${group} ${n}`), { group });
      }
      await boss.drain();
      expect(seen.toSorted()).toEqual(["a 1", "b 1"]);
    },
  );

  on(
    "an account without JetStream on a server that has it: dispatches are refused, a worker waits",
    {
      config: `accounts {
          WITH { jetstream: enabled, users: [ { user: boss, password: p } ] }
          WITHOUT { users: [ { user: poor, password: p } ] } }`,
      auth: BOSS,
    },
    async (ground) => {
      const poor = ground.relay(jobs, { user: "poor", pass: "p" });
      poor.handle("work", () => {});
      const reason = await rejection(poor.dispatch("work", { n: 1 }));
      expect(reason).toMatchObject({ code: "TRANSPORT_UNAVAILABLE" });
      expect(reason.message).toContain("JetStream");
      expect(String(reason.cause)).toContain("10039");
      await isCalm(ground, poor);
      const boss = ground.relay(jobs, BOSS);
      await boss.dispatch("work", { n: 1 });
      expect(await boss.info("work")).toMatchObject({ waiting: 1 });
    },
  );

  on(
    "the pulls of jobs: a worker is told, and leaves the job to others",
    denying('publish: { deny: ["$JS.API.CONSUMER.MSG.NEXT.>"] }'),
    async (ground) => {
      const poor = ground.relay(jobs, { user: "poor", pass: "p" });
      poor.handle("work", () => {});
      const states = heard(poor.events, "connection");
      await poor.dispatch("work", { n: 1 });
      await isCalm(ground, poor);
      expect(states).toMatchObject([{ state: "down", error: { code: "TRANSPORT_FORBIDDEN" } }]);
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
        await client.request(`${ground.prefix}.work.in.x`, body);
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
    expect(reason).toMatchObject({ code: "TOO_LARGE", limit: 4_096 - 2_304 });
    await relay.dispatch("work", { n: 3 });
    expect(await relay.info("work")).toMatchObject({ waiting: 2 });
  });

  const DROPPING = {
    "old jobs at a limit of messages": { max_msgs: 1_000 },
    "old jobs at a limit of bytes": { max_bytes: 1_000_000 },
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

  test(
    "a client that does not read for a while is not cut, as it asks for little at a time, and all are done",
    async () => {
      await using server = await startNats({ config: `write_deadline: "100ms"` });
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
      expect(Number((await server.monitor("/varz"))["slow_consumers"])).toBe(0);
      expect(states).toEqual([]);
      expect((await producer.info("work")).timeout).toBe(0);
    },
    PATIENCE,
  );
});

/** Milliseconds for which a thread reads nothing, and how often at most. */
const BLOCK = 1_000;
const MOST_BLOCKS = 4;

function block(): void {
  const end = performance.now() + BLOCK;
  while (performance.now() < end);
}
