/** What is told of a delivery whose settlement got no answer, and which is settled again when the server's lease is over. */
import { expect } from "vitest";
import { createRelay } from "../../../mod.ts";
import type { Delivery, ReserveOptions, Settled, Settlement } from "../../../src/jobs/exchange.ts";
import { job } from "../../../src/testing/conformance/lab.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { free, heard } from "../../web/support/kit.ts";
import { openProxy, type Proxy } from "../faults/support/proxy.ts";
import { testByClock } from "../../web/support/real_clock.ts";
import { becomes } from "../support/becomes.ts";
import { type NatsServer, startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";

const CALL = { deadline: 60_000 };
const BRIEF = { deadline: 300 };
const ACK_WAIT = 600;
const QUEUE = "work";
const ROUNDS = 4;
const PATIENCE = 120_000;
/** Longer than the server's lease, so that it is kept up from here. */
const LEASE = 60_000;
const TAKE: ReserveOptions = { limit: 1, slots: 1, lease: LEASE, wait: 0, ...CALL };

type Ending = (held: Delivery) => Settlement;

const DONE: Ending = ({ queue, token }) => ({ queue, token, to: "done" });
const MOVES: Readonly<Record<string, Ending>> = {
  again: ({ queue, token }) => ({ queue, token, to: "again", meta: "next" }),
  "again with a delay": ({ queue, token }) => ({ queue, token, to: "again", meta: "next", delay: 60_000 }),
  failed: ({ queue, token }) => ({ queue, token, to: "failed", meta: "next", reason: "r" }),
  release: ({ queue, token }) => ({ queue, token, to: "release" }),
};
const ENDINGS = { done: DONE, ...MOVES };

interface Sides extends AsyncDisposable {
  readonly proxy: Proxy;
  /** Behind the proxy. */
  readonly far: Transport;
  readonly near: Transport;
  /** A job that `far` has in hand. */
  readonly held: Delivery;
}

/** All at a time, as they mostly wait; what stands in the way of leases as short as these is no fault of the transport. */
const test = testByClock(ACK_WAIT / 4).concurrent;

describeOn(
  ["nats"],
  `A settlement over NATS that got no answer and is sent again after the lease`,
  () => {
    const started = owned(() => startNats());

    async function sides(server?: NatsServer): Promise<Sides> {
      const { port, url } = server ?? await started();
      const prefix = `answers-${crypto.randomUUID()}`;
      const proxy = await openProxy(port);
      const far = nats({ servers: `nats://127.0.0.1:${proxy.port}`, prefix, ackWait: ACK_WAIT });
      const near = nats({ servers: url, prefix, ackWait: ACK_WAIT });
      await near.push([job({ queue: QUEUE, id: "1" })], CALL);
      const [held] = await far.reserve([QUEUE], TAKE);
      if (held === undefined) throw new Error("Wanted a delivery");
      return {
        proxy,
        far,
        near,
        held,
        async [Symbol.asyncDispose]() {
          await far[Symbol.asyncDispose]();
          await near[Symbol.asyncDispose]();
          await proxy.close();
        },
      };
    }

    async function settle(transport: Transport, settlement: Settlement, call = CALL): Promise<Settled> {
      const [answer] = await transport.settle([settlement], call);
      return answer ?? new Error("Wanted an answer");
    }

    /** Breaks the link, and waits for the next one. */
    async function anew({ proxy, far }: Pick<Sides, "proxy" | "far">): Promise<void> {
      proxy.cut();
      await becomes("the link is made anew", () => far.queues(CALL).then(() => true, () => false));
    }

    /** What another gets within two leases. */
    function take(transport: Transport): Promise<readonly Delivery[]> {
      return transport.reserve([QUEUE], { ...TAKE, wait: 2 * ACK_WAIT });
    }

    async function inAll(transport: Transport): Promise<number> {
      const { waiting, delayed, reserved, failed, timeout } = await transport.info(QUEUE, CALL);
      return waiting + delayed + reserved + failed + timeout;
    }

    for (const [form, ending] of Object.entries(ENDINGS)) {
      test(`'${form}' that took effect is told as settled, and the job has one end`, async () => {
        await using both = await sides();
        const { proxy, far, near, held } = both;
        proxy.mute();
        expect(await settle(far, ending(held), BRIEF)).toBeInstanceOf(Error);
        const found = await take(near);
        if (found.length > 0) await new Promise((resolve) => setTimeout(resolve, ACK_WAIT + 200));
        await anew({ proxy, far });
        expect(await settle(far, ending(held))).toBe("settled");
        expect(found.map(({ id, lost }) => [id, lost])).toEqual(
          form === "again" || form === "release" ? [["1", 0]] : [],
        );
        expect(await inAll(near)).toBe(form === "done" ? 0 : 1);
      }, PATIENCE);

      test(
        `'${form}' that did not reach the server is told as stale while another has the job`,
        async () => {
          await using both = await sides();
          const { proxy, far, near, held } = both;
          proxy.silence();
          expect(await settle(far, ending(held), BRIEF)).toBeInstanceOf(Error);
          const [heir] = await take(near);
          await anew({ proxy, far });
          expect(await settle(far, ending(held))).toBe("stale");
          expect([heir?.id, heir?.lost]).toEqual(["1", 1]);
          if (heir !== undefined) expect(await settle(near, DONE(heir))).toBe("settled");
          expect(await inAll(near)).toBe(0);
        },
        PATIENCE,
      );

      test(`the first '${form}' of a lease whose upkeep did not reach the server is stale`, async () => {
        await using both = await sides();
        const { proxy, far, near, held } = both;
        proxy.silence();
        const found = await take(near);
        await anew({ proxy, far });
        expect(await settle(far, ending(held))).toBe("stale");
        expect(found.map(({ id }) => id)).toEqual(["1"]);
        expect(await inAll(near)).toBe(1);
      }, PATIENCE);
    }

    test(
      "'done' that did not reach the server is told as settled when another has ended the job: nothing lives then",
      async () => {
        await using both = await sides();
        const { proxy, far, near, held } = both;
        proxy.silence();
        expect(await settle(far, DONE(held), BRIEF)).toBeInstanceOf(Error);
        const [heir] = await take(near);
        if (heir !== undefined) expect(await settle(near, DONE(heir))).toBe("settled");
        await anew({ proxy, far });
        expect(await settle(far, DONE(held))).toBe("settled");
        expect(await inAll(near)).toBe(0);
      },
      PATIENCE,
    );

    test("'done' that did not reach the server ends a job that nobody else has taken since", async () => {
      await using both = await sides();
      const { proxy, far, near, held } = both;
      proxy.silence();
      expect(await settle(far, DONE(held), BRIEF)).toBeInstanceOf(Error);
      await new Promise((resolve) => setTimeout(resolve, ACK_WAIT + 200));
      await anew({ proxy, far });
      expect(await settle(far, DONE(held))).toBe("settled");
      expect(await take(near)).toEqual([]);
      expect(await inAll(near)).toBe(0);
    }, PATIENCE);

    test("'again' is told as settled when what followed is done by then", async () => {
      await using both = await sides();
      const { proxy, far, near, held } = both;
      proxy.mute();
      expect(await settle(far, MOVES.again?.(held) ?? DONE(held), BRIEF)).toBeInstanceOf(Error);
      const [next] = await take(near);
      if (next !== undefined) expect(await settle(near, DONE(next))).toBe("settled");
      await new Promise((resolve) => setTimeout(resolve, ACK_WAIT));
      await anew({ proxy, far });
      expect(await settle(far, MOVES.again?.(held) ?? DONE(held))).toBe("settled");
      expect(await inAll(near)).toBe(0);
    }, PATIENCE);

    test(
      "'done' behind an extension that was answered late is settled, or another has the job, never both",
      async () => {
        // One that it may freeze.
        await using server = await startNats();
        for (let round = 0; round < ROUNDS; round++) {
          await using both = await sides(server);
          const { far, near, held } = both;
          const waits = near.reserve([QUEUE], { ...TAKE, wait: 5 * ACK_WAIT });
          // The call that waits is known to the server by then.
          await near.info(QUEUE, CALL);
          server.pause();
          const { queue, token } = held;
          const extends_ = far.extend([{ queue, token, ms: LEASE }], CALL);
          await new Promise((resolve) => setTimeout(resolve, ACK_WAIT + 100));
          server.resume();
          await extends_;
          const answer = await settle(far, DONE(held));
          const found = await waits;
          expect([answer, found.map(({ id }) => id)]).toEqual(
            answer === "settled" ? ["settled", []] : ["stale", ["1"]],
          );
        }
      },
      PATIENCE,
    );

    test(
      "a worker whose answer was lost tells a job as completed that another completed in the meantime",
      async () => {
        const { port, url } = await started();
        const prefix = `answers-${crypto.randomUUID()}`;
        const proxy = await openProxy(port);
        const relayOn = (servers: string, callTimeout: number) =>
          createRelay({
            jobs: { job: { schema: free<number>(), queue: QUEUE } },
            transport: nats({ servers, prefix, ackWait: ACK_WAIT }),
            callTimeout,
          });
        const far = relayOn(`nats://127.0.0.1:${proxy.port}`, 500);
        const near = relayOn(url, 30_000);
        try {
          const completed = [heard(far.events, "completed"), heard(near.events, "completed")];
          const stale = heard(far.events, "stale");
          const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
          const { promise: ended, resolve: end } = Promise.withResolvers<void>();
          far.handle("job", async () => {
            begin();
            await ended;
          });
          near.handle("job", () => undefined);
          await near.dispatch("job", 1);
          void far.run({ lease: LEASE, poll: 100 });
          await begun;
          // The lease is kept up by then, for longer than the server's.
          await new Promise((resolve) => setTimeout(resolve, 1.5 * ACK_WAIT));
          proxy.silence();
          end();
          void near.run({ lease: LEASE, poll: 100 });
          await becomes("another has completed it", () => completed[1]?.length === 1);
          proxy.cut();
          await becomes("it is told", () => stale.length + (completed[0]?.length ?? 0) === 1);
          // Nothing lives under its id: whichever of the two ended it, it is done.
          expect([stale.length, completed[0]?.length]).toEqual([0, 1]);
        } finally {
          await far.close();
          await near.close();
          await proxy.close();
        }
      },
      PATIENCE,
    );
  },
);
