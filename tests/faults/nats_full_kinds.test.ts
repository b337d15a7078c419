/** A store of NATS without room: topics, recurring jobs, dead and delayed jobs go on when there is some, and lose nothing. */
import { expect, test } from "vitest";
import { createRelay, every, fixed } from "../../mod.ts";
import { job } from "../../src/testing/conformance/lab.ts";
import { free, heard, running } from "../web/support/kit.ts";
import { becomes } from "../server/support/becomes.ts";
import { startNats } from "../server/support/servers/nats.ts";
import { describeOn } from "../server/support/servers/owned.ts";
import {
  CALL,
  fillByHand,
  finish,
  PATIENCE,
  PAYLOAD,
  QUEUE,
  type Store,
  transportOn,
} from "../server/nats/full_scenes.ts";

const payload = "x".repeat(PAYLOAD);
const encoded = new TextEncoder().encode(JSON.stringify(payload));

/** A store of a server that takes no more than a few megabytes, which no client knows. */
async function onStore(scene: (store: Store, prefix: string) => Promise<void>): Promise<void> {
  await using server = await startNats({ limits: { max_file: 2 * 1024 * 1024 } });
  await scene({ urls: [server.url], options: {} }, `kind-${crypto.randomUUID()}`);
}

describeOn(["nats"], "A store of NATS without room", () => {
  for (const copies of [0.5, 1.5, 2.5]) {
    test.concurrent(
      `that has some for ${copies} copies stores a topic's job for each of three groups, or for none`,
      () =>
        onStore(async (store, prefix) => {
          const jobs = { news: { schema: free<string>(), topic: true as const } };
          await using relay = createRelay({ jobs, transport: transportOn(store, prefix), log: false });
          const groups = ["a", "b", "c"];
          const ran = new Map(groups.map((group) => [group, new Set<string>()]));
          for (const group of groups) {
            await relay.bind("news", group);
            relay.handle("news", (_, { job: { id } }) => void ran.get(group)?.add(id), { group });
          }
          const stored = new Set([(await relay.dispatch("news", payload)).id]);
          const ballast = await fillByHand(store, 1, undefined, Math.floor(copies * PAYLOAD));
          await ballast.leave();
          const answers = await Promise.allSettled(
            Array.from({ length: 5 }, () => relay.dispatch("news", payload)),
          );
          for (const answer of answers) {
            if (answer.status === "fulfilled") stored.add(answer.value.id);
            else expect(answer.reason).toMatchObject({ code: "TRANSPORT_FULL" });
          }
          expect(answers.some(({ status }) => status === "rejected")).toBe(true);
          await ballast.remove();
          await becomes("a dispatch is stored again", async () => {
            const [answer] = await Promise.allSettled([relay.dispatch("news", payload)]);
            if (answer.status === "fulfilled") stored.add(answer.value.id);
            return answer.status === "fulfilled";
          }, PATIENCE);
          const worker = running(relay, { poll: 500 });
          for (const [group, ids] of ran) {
            await becomes(`group '${group}' has run all`, () => stored.difference(ids).size === 0, PATIENCE);
          }
          await worker.abort();
          for (const ids of ran.values()) expect(ids).toEqual(stored);
        }),
      PATIENCE,
    );
  }

  test.concurrent(
    "whose groups' jobs fail meanwhile: all that were stored are done in each group, and none that was refused",
    () =>
      onStore(async (store, prefix) => {
        const jobs = {
          news: { schema: free<string>(), topic: true as const, maxAttempts: 1_000_000, backoff: fixed(100) },
        };
        await using relay = createRelay({ jobs, transport: transportOn(store, prefix), log: false });
        const done = new Map(["a", "b"].map((group) => [group, new Set<string>()]));
        let failing = true;
        for (const [group, ids] of done) {
          await relay.bind("news", group);
          relay.handle("news", (_, { job: { id } }) => {
            if (failing) throw new Error("in vain");
            ids.add(id);
          }, { group });
        }
        const stored = new Set<string>();
        const unknown = new Set<string>();
        const worker = running(relay, { concurrency: 20, poll: 500 });
        const put = async (): Promise<boolean> => {
          const [answer] = await Promise.allSettled([relay.dispatch("news", payload)]);
          if (answer.status === "fulfilled") stored.add(answer.value.id);
          else if (answer.reason.code === "OUTCOME_UNKNOWN") unknown.add(answer.reason.id);
          else expect(answer.reason).toMatchObject({ code: "TRANSPORT_FULL" });
          return answer.status === "rejected";
        };
        let refused = 0;
        await becomes("dispatches were refused a while", async () => {
          if (await put()) refused++;
          return refused > 30;
        }, PATIENCE);
        failing = false;
        for (const [group, ids] of done) {
          await becomes(`group '${group}' has done all`, () => stored.difference(ids).size === 0, PATIENCE);
        }
        await becomes("a dispatch is stored again", async () => !await put(), PATIENCE);
        for (const [group, ids] of done) {
          await becomes(`group '${group}' has done the last`, () =>
            stored.difference(ids).size === 0, PATIENCE);
          expect([...ids.difference(stored).difference(unknown)], "told as refused, and ran").toEqual([]);
        }
        await worker.abort();
      }),
    PATIENCE,
  );

  test.concurrent(
    "refuses ticks of a schedule, which go on when there is some: each that was told has run",
    () =>
      onStore(async (store, prefix) => {
        const jobs = { tick: { schema: free<string>(), queue: QUEUE } };
        await using relay = createRelay({ jobs, transport: transportOn(store, prefix), log: false });
        const ran: string[] = [];
        relay.handle("tick", (_, { job: { id } }) => void ran.push(id));
        const ticks = heard(relay.events, "tick");
        const errors = heard(relay.events, "error");
        await relay.schedule("tick", payload, { when: every(1_000) });
        const worker = running(relay, { poll: 500 });
        try {
          await becomes("the first ticks have run", () => ran.length >= 2);
          const ballast = await fillByHand(store, 1);
          await becomes(
            "a tick is refused",
            () => errors.some(({ error }) => /full|limit/.test(error.message)),
          );
          await ballast.remove();
          const before = ran.length;
          await becomes("ticks run again", () => ran.length >= before + 2);
          await becomes(
            "each tick that was told has run",
            () => new Set(ticks.map(({ id }) => id)).difference(new Set(ran)).size === 0,
          );
        } finally {
          await worker.abort();
        }
        expect(new Set(ran).size).toBe(ran.length);
        const instants = ticks.filter(({ result }) => result === "stored").map(({ tick }) => tick);
        expect(new Set(instants).size).toBe(instants.length);
      }),
    PATIENCE,
  );

  test.concurrent(
    "keeps jobs from dying, and dead ones from being reloaded, until there is some; none is lost",
    () =>
      onStore(async (store, prefix) => {
        const jobs = { work: { schema: free<string>(), queue: QUEUE, maxAttempts: 1 } };
        await using relay = createRelay({ jobs, transport: transportOn(store, prefix), log: false });
        let failing = true;
        const done = new Set<string>();
        relay.handle("work", (_, { job: { id } }) => {
          if (failing) throw new Error("in vain");
          done.add(id);
        });
        const back = heard(relay.events, "released");
        const all = await relay.dispatchMany(
          Array.from({ length: 10 }, () => ({ name: "work", payload: "x" })),
        );
        const ballast = await fillByHand(store, 1, `${prefix}_${QUEUE}`);
        const worker = running(relay, { poll: 500 });
        try {
          await becomes("a job is given back as it was", () => back.some(({ reason }) => reason === "full"));
          await ballast.remove();
          await becomes("all are dead", async () => (await relay.info("work")).failed === all.length);
        } finally {
          await worker.abort();
        }
        failing = false;
        const again = await fillByHand(store, 1, `${prefix}_${QUEUE}`);
        await expect(relay.reload(QUEUE, "failed", "all")).rejects.toMatchObject({ code: "TRANSPORT_FULL" });
        const { failed, waiting } = await relay.info("work");
        expect(failed + waiting).toBe(all.length);
        await again.remove();
        const next = running(relay, { poll: 500 });
        try {
          await relay.reload(QUEUE, "failed", "all");
          await becomes("all are done", () => done.size === all.length);
        } finally {
          await next.abort();
        }
      }),
    PATIENCE,
  );

  test.concurrent(
    "at the instant at which delayed jobs are due, and that has nothing to give up: all are done when there is some",
    () =>
      onStore(async (store, prefix) => {
        await using transport = transportOn(store, prefix);
        const ids = new Set(Array.from({ length: 10 }, (_, n) => `j${n}`));
        const at = Date.now() + 10_000;
        const pushed = await transport.push(
          [...ids].map((id) => job({ id, name: "work", queue: QUEUE, payload: encoded, at })),
          CALL,
        );
        expect(new Set(pushed)).toEqual(new Set(["stored"]));
        const ballast = await fillByHand(store, 1, `${prefix}_${QUEUE}`);
        await becomes("the jobs have been due for a second", () => Date.now() >= at + 1_000);
        const finished = finish(store, prefix, ids);
        await becomes("none has moved", async () => (await transport.info(QUEUE, CALL)).delayed > 0);
        await ballast.remove();
        await finished;
      }),
    PATIENCE,
  );
});
