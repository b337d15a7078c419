/** Jobs that the server gave up, as an operator told it how often to hand a message over: found, and sent on. */
import { expect, test } from "vitest";
import { createRelay, type Relay } from "../../../mod.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { type NatsServer, startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { becomes } from "../support/becomes.ts";
import { operate, type Operator } from "./operator.ts";

const PATIENCE = 20_000;
const ACK_WAIT = 200;
/** Where a handler holds its job meanwhile, on a machine that is busy. */
const LONG_ACK_WAIT = 1_000;
/** `poor` may not hear what the server tells everybody. */
const USERS = `authorization { users = [
  { user: boss, password: p }
  { user: poor, password: p, permissions: { subscribe: { deny: ["$JS.EVENT.>"] } } } ] }`;
const BOSS = { user: "boss", pass: "p" };

const anything = {
  "~standard": { version: 1, vendor: "test", validate: (value: unknown) => ({ value }) },
} as const;
const jobs = { work: { schema: anything, queue: "work" } };

describeOn(["nats"], `Jobs that NATS gave up`, () => {
  const server = owned(() => startNats({ config: USERS, auth: BOSS }));

  interface Ground {
    readonly operator: Operator;
    relay(user?: string): Promise<Relay<typeof jobs>>;
  }

  /** A queue that was used before, whose consumer an operator then made by settings of his own. */
  async function ground(settings: object, ackWait = ACK_WAIT): Promise<Ground> {
    const one: NatsServer = await server();
    const prefix = `s${crypto.randomUUID()}`;
    const relay = (user = "boss"): Promise<Relay<typeof jobs>> =>
      Promise.resolve(createRelay({
        jobs,
        transport: nats({ servers: one.url, user, pass: "p", prefix, ackWait }),
      }));
    const first = await relay();
    await first.dispatch("work", "first");
    first.handle("work", () => {});
    await first.drain();
    await first.close();
    const operator = await operate(one, prefix, BOSS);
    await operator.limit({ ack_wait: ackWait * 1e6, ...settings });
    return { operator, relay };
  }

  /** Runs a worker until something has become true. */
  async function until(
    relay: Relay<typeof jobs>,
    done: () => Promise<boolean> | boolean,
    maxLost: number,
  ): Promise<void> {
    const stop = new AbortController();
    const worker = relay.run({ signal: stop.signal, maxLost, poll: 100 });
    await becomes("what the worker is for", done);
    stop.abort();
    await worker;
  }

  for (const max of [1, 2]) {
    test.concurrent(
      `F054, W12: with a max_deliver of ${max} the advisory comes, and the job is a dead letter with its error`,
      async () => {
        const { operator, relay: open } = await ground({ max_deliver: max });
        const relay = await open();
        let runs = 0;
        relay.handle("work", () => void runs++);
        const { id } = await relay.dispatch("work", { n: 1 });
        for (let n = 0; n < max; n++) await operator.takes();
        await until(relay, async () => (await relay.info("work")).timeout === 1, 0);
        const { jobs: dead } = await relay.list("work", "timeout");
        expect(dead.map(({ id, dead }) => [id, dead?.reason])).toEqual([[id, "lost"]]);
        expect(dead[0]?.lastError?.message).toContain("Lost 1 leases");
        expect(new TextDecoder().decode(dead[0]?.payload)).toBe(`{"n":1}`);
        await becomes("the advisory came", () => operator.givenUp.length === 1);
        expect(runs).toBe(0);
        const { waiting, delayed, reserved, failed } = await relay.info("work");
        expect({ waiting, delayed, reserved, failed }).toEqual({
          waiting: 0,
          delayed: 0,
          reserved: 0,
          failed: 0,
        });
        await relay.close();
        await operator[Symbol.asyncDispose]();
      },
      PATIENCE,
    );

    for (const user of ["boss", "poor"]) {
      const when = user === "boss" ? "while another worker runs" : "as soon as no other worker runs";
      test.concurrent(
        `what is given up runs once, ${when} a job, for one who ${
          user === "boss" ? "hears" : "may not hear"
        } of it, with a max_deliver of ${max}`,
        async () => {
          const { operator, relay: open } = await ground({ max_deliver: max }, LONG_ACK_WAIT);
          const [other, relay] = [await open("poor"), await open(user)];
          const runs: unknown[] = [];
          const { promise: ended, resolve: end } = Promise.withResolvers<void>();
          const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
          other.handle("work", async (payload) => {
            runs.push(payload);
            begin();
            await ended;
          });
          relay.handle("work", (payload) => void runs.push(payload));
          await relay.dispatch("work", "long");
          const stop = new AbortController();
          const worker = other.run({ signal: stop.signal, concurrency: 1, maxLost: 3 });
          await begun;
          await relay.dispatch("work", "given up");
          for (let n = 0; n < max; n++) await operator.takes();
          if (user === "poor") end();
          await until(relay, () => runs.includes("given up"), 3);
          end();
          await becomes("nothing is reserved", async () => (await relay.info("work")).reserved === 0);
          stop.abort();
          await worker;
          expect(runs).toEqual(["long", "given up"]);
          await Promise.all([other.close(), relay.close()]);
          await operator[Symbol.asyncDispose]();
        },
        PATIENCE,
      );
    }

    for (const looker of ["who counts", "who lists", "a drain"]) {
      test.concurrent(
        `what nobody heard of is found by ${looker}, with a max_deliver of ${max}`,
        async () => {
          const { operator, relay: open } = await ground({ max_deliver: max });
          const producer = await open();
          await producer.dispatch("work", { n: 1 });
          await producer.close();
          for (let n = 0; n < max; n++) await operator.takes();
          // The server gives it up when somebody asks for more.
          await becomes("the advisory came", async () => {
            await operator.asks();
            return operator.givenUp.length === 1;
          });
          const relay = await open("poor");
          const runs: unknown[] = [];
          relay.handle("work", (payload) => void runs.push(payload));
          if (looker === "who counts") {
            await becomes("it waits", async () => (await relay.info("work")).waiting === 1);
          } else if (looker === "who lists") {
            expect((await relay.list("work", "waiting")).jobs.map(({ name }) => name)).toEqual(["work"]);
          } else {
            await relay.drain();
            expect(runs).toEqual([{ n: 1 }]);
          }
          await relay.drain();
          expect(runs).toEqual([{ n: 1 }]);
          expect(await relay.info("work")).toMatchObject({ waiting: 0, reserved: 0 });
          await relay.close();
          await operator[Symbol.asyncDispose]();
        },
        PATIENCE,
      );
    }
  }

  test.concurrent(
    "what is given up unheard is found though the workers are never idle",
    async () => {
      const { operator, relay: open } = await ground({ max_deliver: 1 }, LONG_ACK_WAIT);
      const relays = [await open("poor"), await open("poor")];
      const runs: unknown[] = [];
      let idle = false;
      for (const relay of relays) {
        relay.handle("work", async (payload) => {
          runs.push(payload);
          // Each job is followed by the next before it ends.
          if (!idle && payload === "busy") await relay.dispatch("work", "busy");
          await new Promise((resolve) => setTimeout(resolve, 300));
        });
      }
      const [one] = relays;
      await one?.dispatch("work", "given up");
      await operator.takes();
      for (let n = 0; n < 6; n++) await one?.dispatch("work", "busy");
      const stop = new AbortController();
      const workers = relays.map((relay) => relay.run({ signal: stop.signal, concurrency: 2 }));
      await becomes("it runs", () => runs.includes("given up"));
      expect((await one?.info("work"))?.reserved).toBeGreaterThan(0);
      idle = true;
      stop.abort();
      await Promise.all(workers);
      await Promise.all(relays.map((relay) => relay.close()));
      await operator[Symbol.asyncDispose]();
    },
    PATIENCE,
  );

  test.concurrent("a consumer of delayed jobs that gives up is refused, as they are handed over until they are due", async () => {
    const { operator, relay: open } = await ground({ max_deliver: -1 });
    await operator.limit({ ack_wait: ACK_WAIT * 1e6, max_deliver: 2 }, "relevo_delayed");
    const relay = await open();
    await expect(relay.info("work")).rejects.toMatchObject({
      code: "TRANSPORT_INCOMPATIBLE",
      message: expect.stringContaining("max_deliver"),
    });
    await relay.close();
    await operator[Symbol.asyncDispose]();
  });
});
