/** Batches of which a server without room stores a part: what lacks is stored later, and nothing twice. */
import { expect, test } from "vitest";
import { createRelay, type Relay } from "../../../mod.ts";
import { free, running } from "../../web/support/kit.ts";
import { becomes } from "../support/becomes.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn } from "../support/servers/owned.ts";
import { fillByHand, PATIENCE, PAYLOAD, type Store, transportOn } from "./full_scenes.ts";

const payload = "x".repeat(PAYLOAD);
const jobs = {
  news: { schema: free<string>(), topic: true as const },
  work: { schema: free<string>(), queue: "work" },
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
  await using relay = createRelay({ jobs, transport: transportOn(store, prefix), log: false });
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

for (const [name, limit] of Object.entries(LIMITS)) {
  describeOn(["nats"], `A batch that meets ${name}`, () => {
    test(
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
      test(
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

    test(
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
  });
}
