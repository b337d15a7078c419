/** The rights that docs/transports/nats.md lists: enough for each role, each of them needed, and told by name where it lacks. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createRelay, every, fixed, type Relay } from "../../../mod.ts";
import { inRepository } from "../../../scripts/lib/paths.mjs";
import { nats, type NatsOptions } from "../../../src/transports/nats/mod.ts";
import { free, heard, running } from "../../web/support/kit.ts";
import { becomes } from "../support/becomes.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn } from "../support/servers/owned.ts";

const PATIENCE = 120_000;
const page = readFileSync(inRepository("docs/transports/nats.md"), "utf8");

interface Rights {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

const listOf = (text: string): readonly string[] =>
  [...text.matchAll(/"([^"]+)"/g)].map(([, word = ""]) => word);
const ROLES = new Map<string, Rights>(
  [...page.matchAll(/^{ user: (\w+), [^\n]*\n\s+publish: \[([^\]]*)\]\n\s+subscribe: \[([^\]]*)\]/gm)].map(
    ([, role = "", publish = "", subscribe = ""]) => [
      role,
      { publish: listOf(publish), subscribe: listOf(subscribe) },
    ],
  ),
);
const JOBS = { mail: free(), news: { schema: free(), topic: true } } as const;
const NONE: Rights = { publish: [], subscribe: [] };
const BOSS = { user: "boss", pass: "p" };

/** The work of a role. */
type Duty = (relay: Relay<typeof JOBS>) => Promise<void>;

const DUTIES: Readonly<Record<string, Duty>> = {
  async producer(relay) {
    await relay.dispatch("mail", null);
    await relay.dispatch("mail", null, { id: "own", delay: 60_000 });
    await relay.dispatch("mail", null, { id: "own" });
    await relay.dispatchMany(Array.from({ length: 20 }, () => ({ name: "mail", payload: null })));
    await relay.dispatchMany([{ name: "mail", payload: 1 }, { name: "mail", payload: 2 }], { atomic: true });
    await relay.bind("news", "readers");
    await relay.dispatch("news", null);
    await relay.schedule("mail", null, { when: every(60_000), key: "often" });
  },
  async worker(relay) {
    const seen: unknown[] = [];
    const failed = new Set<string>();
    relay.handle("mail", (payload, { job: { id } }) => {
      seen.push(payload);
      const isFirst = !failed.has(id);
      failed.add(id);
      if (payload === "dies" || (payload === "fails" && isFirst)) throw new Error("once");
    });
    relay.handle("news", (payload) => void seen.push(payload), { group: "readers" });
    const ended = heard(relay.events, "completed");
    const worker = running(relay, { poll: 100 });
    await relay.bind("news", "readers");
    await relay.dispatch("mail", "fails", { backoff: fixed(1) });
    await relay.dispatch("mail", "fails", { backoff: fixed(200) });
    await relay.dispatch("mail", "dies", { maxAttempts: 1 });
    await relay.dispatch("mail", "late", { delay: 1 });
    await relay.dispatch("news", "news");
    await relay.schedule("mail", "tick", { when: every(1_000), key: "often" });
    await becomes("its jobs are done", () => ended.length >= 5 && seen.includes("tick"));
    await worker.abort();
  },
  async operator(relay) {
    for (const channel of ["waiting", "delayed", "reserved", "failed"] as const) {
      await relay.list("default", channel);
    }
    await relay.get("default", "dead");
    expect((await relay.reload("default", "failed", { ids: ["dead"] })).reloaded).toBe(1);
    expect(await relay.remove("default", "delayed", { ids: ["late"] })).toBe(1);
    expect(await relay.remove("default", "waiting", "all")).toBe(1);
    expect(await relay.remove("default", "failed", "all")).toBe(1);
    expect(await relay.queues()).toContain("default");
    await relay.info("default");
    await relay.schedules.list();
  },
};

const text = (words: readonly string[]): string => `[${words.map((word) => `"${word}"`).join(", ")}]`;

function configOf(role: string, { publish, subscribe }: Rights): string {
  return `authorization { users = [
    { user: boss, password: p }
    { user: ${role}, password: secret, permissions: {
      publish: ${text(publish)}
      subscribe: ${text(subscribe)} } } ] }`;
}

/** A role at work on a server of its own, with rights of which some may lack. */
async function act(
  role: string,
  rights: Rights,
  until: (duty: Promise<void>, refused: () => readonly string[]) => Promise<void>,
): Promise<void> {
  await using server = await startNats({ config: configOf(role, rights), auth: BOSS });
  const open = (options: NatsOptions): Relay<typeof JOBS> => {
    const transport = nats({ servers: server.url, warn: () => {}, ackWait: 2_000, ...options });
    return createRelay({ jobs: JOBS, transport, log: false, callTimeout: 5_000 });
  };
  await using owner = open(BOSS);
  if (role === "operator") {
    owner.handle("mail", () => {
      throw new Error("always");
    });
    for (const id of ["dead", "lost"]) await owner.dispatch("mail", null, { id, maxAttempts: 1 });
    await owner.drain();
    await owner.dispatch("mail", null, { id: "late", delay: 60_000 });
    await owner.schedule("mail", null, { when: every(60_000), key: "often" });
  }
  const relay = open({ user: role, pass: "secret" });
  const duty = DUTIES[role]?.(relay) ?? Promise.reject(new Error(`There is no ${role}`));
  duty.catch(() => undefined);
  const log = join(server.folders[0] ?? "", "server.log");
  await until(duty, () => readFileSync(log, "utf8").split("\n").filter((line) => line.includes("Violation")));
  await relay.close({ grace: 0 });
}

/** Rights of a worker for which its duty here gives no cause: of jobs that lost leases, and behind a full store. */
const SELDOM = ["$JS.API.STREAM.MSG.DELETE.*", "$JS.API.STREAM.PURGE.*"];
const EACH = [...ROLES].flatMap(([role, { publish }]) =>
  publish.filter((right) => role !== "worker" || !SELDOM.includes(right)).map((right) =>
    [role, right] as const
  )
);

describeOn(["nats"], "The rights of a user of NATS", () => {
  test("are told for a producer, a worker and an operator", () => {
    expect([...ROLES.keys()]).toEqual(["producer", "worker", "operator"]);
  });

  test.each([...ROLES.keys()])("are those of the page for a %s", async (role) => {
    await act(role, ROLES.get(role) ?? NONE, async (duty, refused) => {
      await duty;
      expect(refused()).toEqual([]);
    });
  }, PATIENCE);

  test.each(EACH)("are no more than a %s needs: without '%s' it is refused", async (role, right) => {
    const { publish, subscribe } = ROLES.get(role) ?? NONE;
    const rest = { publish: publish.filter((other) => other !== right), subscribe };
    await act(role, rest, (_, refused) => becomes("the server refuses", () => refused().length > 0));
  }, PATIENCE);

  /** A server whose user lacks a right, or has all, and a relay of that user and one of an owner. */
  async function lacking(right: string) {
    const config = (deny: string): string =>
      `authorization { users = [ { user: boss, password: p }
        { user: poor, password: p, permissions: { publish: { allow: ">", deny: "${deny}" } } } ] }`;
    const server = await startNats({ config: config(right), auth: BOSS });
    const open = (options: NatsOptions): Relay<typeof JOBS> => {
      const transport = nats({ servers: server.url, ackWait: 1_000, ...options });
      return createRelay({ jobs: JOBS, transport, log: false });
    };
    return {
      server,
      owner: open(BOSS),
      poor: open({ user: "poor", pass: "p" }),
      give: () => server.reconfigure(config("none")),
    };
  }

  test("a reload that may not delete the dead job's message is refused, and brings no job back", async () => {
    const { server, owner, poor, give } = await lacking("$JS.API.STREAM.MSG.DELETE.>");
    owner.handle("mail", () => {
      throw new Error("always");
    });
    await owner.dispatch("mail", null, { id: "dead", maxAttempts: 1 });
    await owner.drain();
    await expect(poor.reload("default", "failed", "all")).rejects.toMatchObject({
      code: "TRANSPORT_FORBIDDEN",
    });
    expect(await owner.info("default")).toMatchObject({ waiting: 0, delayed: 0, failed: 1 });
    await give();
    expect(await poor.reload("default", "failed", "all")).toMatchObject({ reloaded: 1 });
    for (const relay of [owner, poor]) await relay.close();
    await server[Symbol.asyncDispose]();
  }, PATIENCE);

  test.each([undefined, "own"])(
    "a settlement that may not acknowledge is told by its queue until it may (id: %s): the job runs once",
    async (id) => {
      const { server, owner, poor, give } = await lacking("$JS.ACK.>");
      const told = heard(poor.events, "queue");
      let runs = 0;
      poor.handle("mail", () => void runs++);
      const worker = running(poor, { poll: 50, lease: 1_000 });
      await owner.dispatch("mail", null, { id });
      await becomes("the queue is told to be down", () => told.length > 0);
      expect(told[0]).toMatchObject({
        queue: "default",
        state: "down",
        during: "settle",
        error: { code: "TRANSPORT_FORBIDDEN", message: expect.stringContaining("$JS.ACK.relevo_default.") },
      });
      await becomes(
        "its lease was over",
        async () => (await owner.info("default")).reserved === 1 && told.length > 1,
      );
      await give();
      const left = (verb: string): number =>
        told.filter(({ during }) => during === verb).reduce(
          (sum, { state }) => sum + (state === "down" ? 1 : -1),
          0,
        );
      await becomes("the queue is told to be up", () => left("settle") === 0);
      await becomes("no job is left", async () => {
        const { waiting, delayed, reserved } = await owner.info("default");
        return waiting + delayed + reserved === 0;
      });
      expect(runs).toBe(1);
      expect(told.filter(({ state, during }) => state === "down" && during === "settle")).toHaveLength(1);
      await worker.abort();
      for (const relay of [owner, poor]) await relay.close();
      await server[Symbol.asyncDispose]();
    },
    PATIENCE,
  );
});
