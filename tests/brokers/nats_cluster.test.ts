/** A cluster of three nodes: the contract, and that a delivery has ended everywhere when that is told, as on one. */
import { connect as dial, headers } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import type { Delivery, Settlement } from "../../src/jobs/exchange.ts";
import { job } from "../../src/testing/conformance/lab.ts";
import type { Transport } from "../../src/contract/transport.ts";
import { nats } from "../../src/transports/nats/mod.ts";
import { counted } from "../server/nats/counted.ts";
import { heldJobs } from "../server/nats/support.ts";
import { becomes } from "../server/support/becomes.ts";
import { examineTogether } from "../server/support/nats_examined.ts";
import { natsCluster } from "../server/support/nats_subjects.ts";
import { startNatsCluster } from "../server/support/servers/nats_cluster.ts";
import { describeOn, owned } from "../server/support/servers/owned.ts";

const CALL = { deadline: 60_000 };
const ACK_WAIT = 30_000;
const PATIENCE = 120_000;
const LOOK = { limit: 200, slots: 200, lease: ACK_WAIT, wait: 0, ...CALL };
/** Queues at a time: alone the servers are done with all before a test can look. */
const QUEUES = 8;
const ROUNDS = 8;
const SIZE = 20;
/** The server's numbers for a condition that does not hold, and for one that is not decided yet. */
const WRONG_SEQUENCE = 10071;
const UNDECIDED = 10164;

// It takes this cluster up to half a minute to be whole after a restart: that is looked at in tests/faults.
describeOn(["nats"], "a cluster of three NATS servers keeps the contract", () => {
  const cluster = owned(() => startNatsCluster({ brief: true }));
  examineTogether("NATS cluster", natsCluster(cluster));

  /** Does something on many queues at a time. */
  async function everywhere(work: (queue: string) => Promise<void>): Promise<void> {
    await Promise.all(Array.from({ length: QUEUES }, (_, n) => work(`q${n}`)));
  }

  /** Pushes, takes and settles a page of jobs, round after round; who pushes and looks is not who takes. */
  async function rounds(
    queue: string,
    idsOf: (round: number) => readonly string[],
    ending: (delivery: Delivery) => Settlement,
    look: (other: Transport, ids: readonly string[]) => Promise<void>,
  ): Promise<void> {
    const { urls } = await cluster();
    const options = { prefix: `end-${crypto.randomUUID()}`, ackWait: ACK_WAIT, replicas: 3 };
    await using worker = nats({ ...options, servers: urls });
    await using other = nats({ ...options, servers: urls.slice(1) });
    for (let round = 0; round < ROUNDS; round++) {
      const ids = idsOf(round);
      const pushed = await other.push(ids.map((id) => job({ id, queue, idWindow: 0 })), CALL);
      expect(new Set(pushed)).toEqual(new Set(["stored"]));
      const taken: Delivery[] = [];
      while (taken.length < SIZE) {
        const wanted = { limit: SIZE, slots: SIZE, lease: ACK_WAIT, wait: 5_000, ...CALL };
        taken.push(...await worker.reserve([queue], wanted));
      }
      expect(await worker.settle(taken.map(ending), CALL)).toEqual(taken.map(() => "settled"));
      await look(other, ids);
    }
  }

  test.concurrent(
    "dead jobs between which thousands are gone are listed by a few questions each",
    async () => {
      const { urls } = await cluster();
      await using counter = await counted(urls, { prefix: `dead-${crypto.randomUUID()}`, replicas: 3 });
      const { transport, traffic } = counter;
      const [queue, died, others] = ["sparse", 30, 100];
      for (let round = 0; round < died; round++) {
        await transport.push(
          Array.from({ length: others }, (_, n) => job({ id: `${round}-${n}`, queue })),
          CALL,
        );
        for (let left = others; left > 0;) {
          const taken = await transport.reserve([queue], { ...LOOK, limit: left, wait: 5_000 });
          const ends = taken.map(({ id, token }): Settlement =>
            id.endsWith("-0")
              ? { queue, token, to: "failed", meta: "", reason: "no" }
              : { queue, token, to: "done" }
          );
          expect(await transport.settle(ends, CALL)).toEqual(ends.map(() => "settled"));
          left -= taken.length;
        }
      }
      const before = traffic.sent;
      const ids: string[] = [];
      for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
        const page = await transport.list(queue, "failed", { limit: 10, cursor, preview: 0 }, CALL);
        ids.push(...page.entries.map(({ id }) => id));
        cursor = page.cursor;
      }
      expect(ids).toEqual(Array.from({ length: died }, (_, n) => `${died - 1 - n}-0`));
      expect(traffic.sent - before).toBeLessThan(died * 20);
    },
    PATIENCE,
  );

  test.concurrent("no delayed job comes early to another server's client, and all come", async () => {
    const { urls } = await cluster();
    const options = { prefix: `due-${crypto.randomUUID()}`, ackWait: ACK_WAIT, replicas: 3 };
    await using pushing = nats({ ...options, servers: urls });
    await using taking = nats({ ...options, servers: urls.slice(1) });
    const delays = Array.from({ length: SIZE }, (_, n) => 500 + 100 * n);
    const begun = Date.now();
    await pushing.push(delays.map((delay) => job({ id: `${delay}`, queue: "q", delay })), CALL);
    const early: string[] = [];
    const come = new Set<string>();
    while (come.size < SIZE) {
      const wanted = { limit: SIZE, slots: SIZE, lease: ACK_WAIT, wait: 30_000, ...CALL };
      const found = await taking.reserve(["q"], wanted);
      const now = Date.now();
      for (const { id } of found) {
        come.add(id);
        // All go by the clock of this machine.
        if (now < begun + Number(id)) early.push(id);
      }
      if (found.length === 0) break;
    }
    expect([early, come.size]).toEqual([[], SIZE]);
  }, PATIENCE);

  test.concurrent(
    "jobs that come behind the word that none is there come in order, and lose no lease",
    async () => {
      const { urls: [url = ""] } = await cluster();
      const options = { prefix: `behind-${crypto.randomUUID()}`, ackWait: ACK_WAIT, replicas: 3 };
      const { connection, hold } = await heldJobs(url);
      await using taking = nats({ ...options, connection });
      expect(await taking.reserve(["q"], LOOK)).toEqual([]);
      await taking.push(["1", "2", "3"].map((id) => job({ id, queue: "q" })), CALL);
      const goOn = hold(0);
      expect(await taking.reserve(["q"], { ...LOOK, limit: 10 })).toEqual([]);
      await taking.push([job({ id: "4", queue: "q" })], CALL);
      goOn();
      const found: (readonly [string, number])[] = [];
      while (found.length < 4) {
        const come = await taking.reserve(["q"], { ...LOOK, wait: ACK_WAIT / 2 });
        if (come.length === 0) break;
        found.push(...come.map(({ id, lost }) => [id, lost] as const));
      }
      expect(found).toEqual([["1", 0], ["2", 0], ["3", 0], ["4", 0]]);
      await taking[Symbol.asyncDispose]();
      await connection.close();
    },
    PATIENCE,
  );

  test.concurrent("an id is free for all as soon as its job was told to be done", async () => {
    const ids = Array.from({ length: SIZE }, (_, n) => `${n}`);
    const done = ({ queue, token }: Delivery): Settlement => ({ queue, token, to: "done" });
    // The next round pushes the same.
    await everywhere((queue) => rounds(queue, () => ids, done, () => Promise.resolve()));
  }, PATIENCE);

  test.concurrent("a job is seen where it went as soon as it was told to be there", async () => {
    const idsOf = (round: number): string[] => Array.from({ length: SIZE }, (_, n) => `${round}-${n}`);
    const isDelayed = (id: string): boolean => Number(id.split("-")[1]) % 2 === 0;
    const moved = ({ queue, token, meta, id }: Delivery): Settlement =>
      isDelayed(id)
        ? { queue, token, to: "again", meta, delay: 600_000 }
        : { queue, token, to: "failed", meta, reason: "r" };
    await everywhere((queue) =>
      rounds(queue, idsOf, moved, async (other, ids) => {
        const entries = await other.get(queue, ids, CALL);
        expect(entries.map((entry) => entry?.channel)).toEqual(
          ids.map((id) => isDelayed(id) ? "delayed" : "failed"),
        );
      })
    );
  }, PATIENCE);

  /** Transports of one queue, as three processes have them, each through a server of its own. */
  async function three(ackWait: number): Promise<readonly Transport[]> {
    const { urls } = await cluster();
    const prefix = `at-once-${crypto.randomUUID()}`;
    const all = urls.map((servers) => nats({ servers, prefix, ackWait, replicas: 3 }));
    for (const transport of all) await transport.reserve(["q"], { ...LOOK, wait: 1 });
    return all;
  }

  test.concurrent(
    "400 ids that three processes push at once into three states are stored once each",
    async () => {
      const [one, two, other] = await three(ACK_WAIT) as [Transport, Transport, Transport];
      const ids = Array.from({ length: 400 }, (_, n) => `${n}`);
      const jobs = (delay?: number) => ids.map((id) => job({ id, queue: "q", idWindow: 60_000, delay }));
      let removed = 0;
      const answers = await Promise.all([
        one.push(jobs(), CALL),
        two.push(jobs(600_000), CALL),
        // A third state: one whose job has ended keeps its id for its window.
        Promise.all(
          jobs().map(async (each) => {
            const [pushed] = await other.push([each], CALL);
            // One that is on its way to a pull that is left from the first look is not removed.
            const gone = pushed === "stored"
              ? await other.remove("q", "waiting", { ids: [each.id] }, CALL)
              : 0;
            removed += gone;
            return pushed;
          }),
        ),
      ]);
      for (const [n] of ids.entries()) {
        expect(answers.map((all) => all[n]).toSorted()).toEqual(["duplicate", "duplicate", "stored"]);
      }
      const mine = (n: number): number => answers[n]?.filter((answer) => answer === "stored").length ?? 0;
      await becomes("all are counted", async () => {
        const { waiting, delayed } = await one.info("q", CALL);
        return waiting === mine(0) + mine(2) - removed && delayed === mine(1);
      });
      for (const transport of [one, two, other]) await transport[Symbol.asyncDispose]();
    },
    PATIENCE,
  );

  test.concurrent(
    "of pairs of processes that move one job at once one moves it, and the other is stale",
    async () => {
      const [one, two, other] = await three(ACK_WAIT) as [Transport, Transport, Transport];
      const ids = Array.from({ length: 100 }, (_, n) => `${n}`);
      await one.push(ids.map((id) => job({ id, queue: "q" })), CALL);
      const held: Delivery[] = [];
      while (held.length < ids.length) held.push(...await one.reserve(["q"], { ...LOOK, wait: 5_000 }));
      const again = ({ queue, token, meta }: Delivery): Settlement => ({ queue, token, to: "again", meta });
      const dead = ({ queue, token, meta }: Delivery): Settlement => ({
        queue,
        token,
        to: "failed",
        meta,
        reason: "r",
      });
      const ends = await Promise.all([two.settle(held.map(again), CALL), other.settle(held.map(dead), CALL)]);
      for (const [n] of held.entries()) {
        expect(ends.map((all) => all[n]).toSorted()).toEqual(["settled", "stale"]);
      }
      const count = (n: number): number => ends[n]?.filter((end) => end === "settled").length ?? 0;
      await becomes("all are where they were moved", async () => {
        const { waiting, reserved, failed } = await one.info("q", CALL);
        return waiting === count(0) && reserved === 0 && failed === count(1);
      });
      for (const transport of [one, two, other]) await transport[Symbol.asyncDispose]();
    },
    PATIENCE,
  );
});

describeOn(["nats"], "three NATS servers", () => {
  const cluster = owned(() => startNatsCluster({ brief: true }));

  test(
    "refuse a write on a filter while another is under way with 10164, which decides nothing: asked again, one is stored",
    async () => {
      const { urls } = await cluster();
      const connections = await Promise.all(urls.map((url) => dial({ servers: url.replace("nats://", "") })));
      const [first] = connections;
      if (first === undefined) throw new Error("There is no server");
      const name = `facts-${crypto.randomUUID()}`;
      const config = { name, subjects: [`${name}.>`], num_replicas: 3 };
      await first.request(`$JS.API.STREAM.CREATE.${name}`, JSON.stringify(config), { timeout: 30_000 });
      const seen = new Map<number, number>();
      /** Publishes on the condition that there is none, and asks again while that is undecided; whether it was stored. */
      const put = async (connection: typeof first, state: string, id: string): Promise<boolean> => {
        const lines = headers();
        lines.set("Nats-Expected-Last-Subject-Sequence", "0");
        lines.set("Nats-Expected-Last-Subject-Sequence-Subject", `${name}.*.${id}`);
        for (;;) {
          const answer = await connection.request(`${name}.${state}.${id}`, "", {
            headers: lines,
            timeout: 30_000,
          });
          const { error } = answer.json<{ readonly error?: { readonly err_code: number } }>();
          seen.set(error?.err_code ?? 0, (seen.get(error?.err_code ?? 0) ?? 0) + 1);
          if (error?.err_code !== UNDECIDED) return error === undefined;
        }
      };
      for (let round = 0; round < ROUNDS; round++) {
        const ids = Array.from({ length: 100 }, (_, n) => `${round}-${n}`);
        const stored = await Promise.all(
          ids.map((id) => Promise.all(connections.map((one, n) => put(one, `s${n}`, id)))),
        );
        for (const [n, answers] of stored.entries()) {
          expect(answers.filter(Boolean), ids[n]).toHaveLength(1);
        }
      }
      console.log(`Answers by their code: ${JSON.stringify([...seen])}`);
      expect([...seen.keys()].toSorted((a, b) => a - b)).toEqual([0, WRONG_SEQUENCE, UNDECIDED]);
      await Promise.all(connections.map((one) => one.close()));
    },
    PATIENCE,
  );
});
