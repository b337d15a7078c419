/**
 * Batches of which a server without room stores a part: what lacks is stored later, and nothing twice. Each test has a
 * server of its own, and all run at a time, as they mostly wait.
 */
import { expect, test } from "vitest";
import { createRelay, every, type Relay } from "../../../mod.ts";
import { free, heard, running } from "../../web/support/kit.ts";
import { becomes } from "../support/becomes.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn } from "../support/servers/owned.ts";
import { fillByHand, PATIENCE, PAYLOAD, type Store, transportOn } from "./full_scenes.ts";

const payload = "x".repeat(PAYLOAD);
/** Milliseconds of a lease, which no test here lets run out: a machine may stand still for seconds. */
const ACK_WAIT = 60_000;
const jobs = {
  news: { schema: free<string>(), topic: true as const },
  work: { schema: free<string>(), queue: "work" },
  late: { schema: free<string>(), topic: true as const },
};
const GROUPS = ["a", "b", "c"] as const;

/** A server whose limit no client is told: its own, or that of an account whose user may not ask for it. */
const LIMITS = {
  "the server's own limit": { limits: { max_file: 2 * 1024 * 1024 }, user: "" },
  "an account's limit": {
    config: `accounts { A { jetstream: { max_file: 2MB }, users: [
      { user: a, password: p, permissions: { publish: { deny: "$JS.API.INFO" } } }, { user: b, password: p } ] } }`,
    user: "a:p@",
    filler: "b:p@",
  },
} as const;

/** A topic's workers, the ids that each group has run, and a store that is full but for so many copies. */
interface Scene {
  readonly relay: Relay<typeof jobs>;
  readonly ran: ReadonlyMap<string, string[]>;
  /** Runs the workers of a group until it has run all of some ids, each once. */
  finish(group: string, ids: Iterable<string>): Promise<void>;
  fill(copies: number): Promise<AsyncDisposable>;
  restart(): Promise<void>;
}

async function inScene(
  limit: (typeof LIMITS)[keyof typeof LIMITS],
  play: (scene: Scene) => Promise<void>,
): Promise<void> {
  await using server = await startNats({
    ..."limits" in limit ? { limits: limit.limits } : { config: limit.config },
    ..."filler" in limit ? { auth: { user: "b", pass: "p" } } : {},
  });
  const urlOf = (user: string): string => server.url.replace("nats://", `nats://${user}`);
  const prefix = `half-${crypto.randomUUID()}`;
  const store: Store = { urls: [urlOf(limit.user)], options: {} };
  const filled: Store = { urls: [urlOf("filler" in limit ? limit.filler : "")], options: {} };
  await using relay = createRelay({
    jobs,
    transport: transportOn(store, prefix, { ackWait: ACK_WAIT }),
    log: false,
  });
  const ran = new Map<string, string[]>(GROUPS.map((group) => [group, []]));
  for (const [group, ids] of ran) {
    await relay.bind("news", group);
    relay.handle("news", (_, { job: { id } }) => void ids.push(id), { group });
  }
  await play({
    relay,
    ran,
    restart: () => server.restart(),
    async finish(group, ids) {
      await becomes(`group '${group}' has run all`, () => {
        return new Set(ids).difference(new Set(ran.get(group))).size === 0;
      }, PATIENCE);
    },
    async fill(copies) {
      const ballast = await fillByHand(filled, 1, undefined, Math.floor(copies * PAYLOAD), 1_000);
      await ballast.leave();
      return { [Symbol.asyncDispose]: () => ballast.remove() };
    },
  });
}

/** A dispatch's status, or its error's code. */
async function told(dispatched: Promise<{ readonly status: string }>): Promise<string> {
  const [answer] = await Promise.allSettled([dispatched]);
  return answer.status === "fulfilled" ? answer.value.status : `${answer.reason.code}`;
}

/** The error of a bulk of three jobs that may be stored. */
const UNKNOWN = { failures: Array.from({ length: 3 }, () => ({ error: { code: "OUTCOME_UNKNOWN" } })) };

for (const [name, limit] of Object.entries(LIMITS)) {
  describeOn(["nats"], `A batch that meets ${name}`, () => {
    test.concurrent(
      "in the middle of a topic's job is stored whole when its worker makes room meanwhile",
      () =>
        inScene(limit, async ({ relay, finish, fill }) => {
          await relay.dispatch("news", payload, { id: "before" });
          await using _ = await fill(1.5);
          const dispatched = told(relay.dispatch("news", payload, { id: "x" }));
          await becomes("a group has it", async () => (await relay.info("news@a")).waiting === 2);
          const worker = running(relay, { poll: 500 });
          expect(await dispatched).toBe("stored");
          for (const group of GROUPS) await finish(group, ["before", "x"]);
          await worker.abort();
        }),
      PATIENCE,
    );

    for (const copies of [1.5, 2.5]) {
      test.concurrent(
        `with room for ${copies} copies of a topic's job: dispatched again under its id it runs once in each group`,
        () =>
          inScene(limit, async ({ relay, ran, finish, fill }) => {
            const put = () => told(relay.dispatch("news", payload, { id: "x", idWindow: 600_000 }));
            {
              await using _ = await fill(copies);
              expect(await put()).toBe("OUTCOME_UNKNOWN");
            }
            // The first group has done its copy before the job is dispatched again.
            const first = running(relay, { queues: ["news@a"], poll: 500 });
            await finish("a", ["x"]);
            await first.abort();
            await becomes("it is dispatched again", async () => await put() === "stored", PATIENCE);
            expect(await put()).toBe("duplicate");
            const worker = running(relay, { poll: 500 });
            for (const group of GROUPS) await finish(group, ["x"]);
            await worker.abort();
            for (const ids of ran.values()) expect(ids).toEqual(["x"]);
          }),
        PATIENCE,
      );
    }

    test.concurrent(
      "with several dispatches in it tells none that it was refused which runs, and each that is stored runs once",
      () =>
        inScene(limit, async ({ relay, ran, finish, fill }) => {
          const refused = new Set<string>();
          const stored = new Set<string>();
          const unknown = new Set<string>();
          const dispatch = async (id: string): Promise<void> => {
            const answer = await told(relay.dispatch("news", payload, { id }));
            (answer === "stored" ? stored : answer === "OUTCOME_UNKNOWN" ? unknown : refused).add(id);
            expect(answer).toMatch(/^(stored|OUTCOME_UNKNOWN|TRANSPORT_FULL)$/);
          };
          {
            await using _ = await fill(4.5);
            await Promise.all(Array.from({ length: 4 }, (_, n) => dispatch(`j${n}`)));
            expect(stored.size).toBe(1);
            expect(unknown.size).toBeGreaterThan(0);
          }
          const worker = running(relay, { poll: 500 });
          await becomes("a dispatch is stored again", async () => {
            return await told(relay.dispatch("news", payload, { id: "last" })) !== "TRANSPORT_FULL";
          }, PATIENCE);
          for (const group of GROUPS) await finish(group, [...stored, "last"]);
          await worker.abort();
          for (const ids of ran.values()) {
            expect(new Set(ids).size).toBe(ids.length);
            expect(ids.filter((id) => refused.has(id))).toEqual([]);
          }
        }),
      PATIENCE,
    );

    test.concurrent(
      "without an id of a caller's: dispatched again under the id that the error names it runs once in each group",
      () =>
        inScene(limit, async ({ relay, ran, finish, fill }) => {
          let id = "";
          {
            await using _ = await fill(1.5);
            const error = await relay.dispatch("news", payload).catch((error) => error);
            expect(error).toMatchObject({ code: "OUTCOME_UNKNOWN" });
            id = error.id;
          }
          await becomes("it is dispatched again", async () => {
            return await told(relay.dispatch("news", payload, { id })) === "stored";
          }, PATIENCE);
          expect(await told(relay.dispatch("news", payload, { id }))).toBe("duplicate");
          const worker = running(relay, { poll: 500 });
          for (const group of GROUPS) await finish(group, [id]);
          await worker.abort();
          for (const ids of ran.values()) expect(ids).toEqual([id]);
        }),
      PATIENCE,
    );

    test.concurrent(
      "in the middle of an atomic bulk: stored whole when there is room meanwhile",
      () =>
        inScene(limit, async ({ relay, fill }) => {
          await relay.dispatch("work", "small", { id: "before" });
          const ballast = await fill(1.5);
          const bulk = relay.dispatchMany(
            ["1", "2", "3"].map((id) => ({ name: "work", payload, id })),
            { atomic: true },
          );
          await becomes("a part is stored", async () => (await relay.info("work")).waiting > 1);
          await ballast[Symbol.asyncDispose]();
          expect(await bulk).toHaveLength(3);
          expect((await relay.info("work")).waiting).toBe(4);
        }),
      PATIENCE,
    );

    test.concurrent(
      "in the middle of an atomic bulk that finds no room: its outcome is unknown, and the rest is stored under its ids",
      () =>
        inScene(limit, async ({ relay, fill }) => {
          await relay.dispatch("work", "small", { id: "before" });
          const ids = ["1", "2", "3"];
          const put = (id: string): Promise<string> => told(relay.dispatch("work", payload, { id }));
          {
            await using _ = await fill(1.5);
            const bulk = relay.dispatchMany(
              ids.map((id) => ({ name: "work", payload, id })),
              { atomic: true },
            );
            await expect(bulk).rejects.toMatchObject(UNKNOWN);
          }
          await becomes("the last is dispatched", async () => await put("3") === "stored", PATIENCE);
          expect(await Promise.all(ids.map(put))).toEqual(["duplicate", expect.any(String), "duplicate"]);
          expect((await relay.info("work")).waiting).toBe(4);
        }),
      PATIENCE,
    );

    test.concurrent(
      "is forgotten by the server: what was not stored of it is not stored by a restart",
      () =>
        inScene(limit, async ({ relay, fill, restart }) => {
          await relay.dispatch("work", "small", { id: "before" });
          {
            await using _ = await fill(1.5);
            const bulk = relay.dispatchMany(
              ["1", "2", "3"].map((id) => ({ name: "work", payload, id })),
              { atomic: true },
            );
            await expect(bulk).rejects.toMatchObject(UNKNOWN);
          }
          await becomes("there is room again", async () => {
            return await told(relay.dispatch("work", "small", { id: "last" })) === "stored";
          }, PATIENCE);
          const { waiting } = await relay.info("work");
          expect(waiting).toBeLessThan(5);
          await restart();
          expect((await relay.info("work")).waiting).toBe(waiting);
        }),
      PATIENCE,
    );

    test.concurrent(
      "in the middle of ticks loses none, and runs each once",
      () =>
        inScene(limit, async ({ relay, ran, fill, finish }) => {
          const ticks = heard(relay.events, "tick");
          const told = (): readonly string[] =>
            ticks.flatMap(({ id, result }) => result === "stored" && id !== undefined ? [id] : []);
          await relay.schedule("news", payload, { when: every(2_000) });
          const worker = running(relay, { poll: 500 });
          await becomes("ticks have run", () => (ran.get("c")?.length ?? 0) >= 2, PATIENCE);
          {
            await using _ = await fill(1.5);
            const before = told().length;
            await becomes("a tick is told meanwhile", () => told().length > before, PATIENCE);
          }
          const before = told().length;
          await becomes("ticks are told again", () => told().length >= before + 2, PATIENCE);
          for (const group of GROUPS) await finish(group, told());
          await worker.abort();
          for (const ids of ran.values()) expect(new Set(ids).size).toBe(ids.length);
        }),
      PATIENCE,
    );

    test.concurrent(
      "when a topic's first group is bound: the job that waited runs once, and its id stays taken",
      () =>
        inScene(limit, async ({ relay, fill }) => {
          const put = (): Promise<string> =>
            told(relay.dispatch("late", payload, { id: "x", idWindow: 600_000 }));
          const ran: string[] = [];
          relay.handle("late", (_, { job: { id } }) => void ran.push(id), { group: "first" });
          expect(await put()).toBe("stored");
          {
            await using _ = await fill(0.5);
            await expect(relay.bind("late", "first")).rejects.toThrow(/part of what belongs together|limit/);
          }
          await becomes("the group is bound", async () => {
            const [bound] = await Promise.allSettled([relay.bind("late", "first")]);
            return bound.status === "fulfilled";
          }, PATIENCE);
          const worker = running(relay, { poll: 500 });
          await becomes("it has run", () => ran.length > 0, PATIENCE);
          await becomes("nothing is left", async () => {
            const { waiting, reserved } = await relay.info("late@first");
            return waiting + reserved === 0;
          });
          await worker.abort();
          expect(ran).toEqual(["x"]);
          expect(await put()).toBe("duplicate");
        }),
      PATIENCE,
    );
  });
}
