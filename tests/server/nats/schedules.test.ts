/** What becomes of a tick whose worker died on its way. */
import { expect, test } from "vitest";
import { job } from "../../../src/testing/conformance/lab.ts";
import type { Transport } from "../../../src/transport.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { startNats } from "../support/servers/nats.ts";
import { connectNats } from "../support/servers/nats_client.ts";
import { cutting, sleepyRuntime } from "./support.ts";

const CALL = { deadline: 10_000 };
const QUEUE = "work";
const TICK = 1_000;
/** More than half of the shortest time for which a server remembers ids. */
const TOO_LONG = 61_000;

const KINDS = { claim: ".s.", push: ".w." } as const;

/** The first message of a kind, and those behind it: for the move it is the second that is written to the schedule. */
function dying(step: "claim" | "push" | "move"): (subject: string) => boolean {
  let written = 0;
  if (step !== "move") return (subject) => subject.includes(KINDS[step]);
  return (subject) => subject.includes(KINDS.claim) && ++written === 2;
}

/** Takes all messages of a subject away. */
async function removeAll(url: string, stream: string, filter: string): Promise<void> {
  await using raw = await connectNats(Number(new URL(url).port));
  const answer = JSON.parse(await raw.request(`$JS.API.STREAM.PURGE.${stream}`, JSON.stringify({ filter })));
  expect(answer).toMatchObject({ success: true, purged: 1 });
}

describeOn(["nats"], "A tick whose worker died", () => {
  const server = owned(() => startNats());

  async function ground(step: "claim" | "push" | "move"): Promise<{ url: string; prefix: string }> {
    const prefix = `tick-${crypto.randomUUID()}`;
    const { url } = await server();
    const { transport, cut } = await cutting(url, prefix, 400);
    const schedule = { queue: QUEUE, key: "report", tick: TICK, text: "t", payload: new Uint8Array() };
    expect(await transport.schedules?.put(schedule, CALL)).toBe("created");
    // The queue is made before, as making it has writes of its own.
    await transport.info(QUEUE, CALL);
    await cut(
      async () => await transport.schedules?.advance(QUEUE, "report", TICK, 2_000, job({ id: "1" }), CALL),
      dying(step),
    );
    return { url, prefix };
  }

  for (const step of ["claim", "push", "move"] as const) {
    test(`before the ${step} is pushed once and moved on by the next who looks`, async () => {
      const { url, prefix } = await ground(step);
      await using next = nats({ servers: url, prefix, ackWait: 400 });
      const { schedules } = next;
      expect((await schedules?.due([QUEUE], 10, CALL))?.schedules.map(({ tick }) => tick)).toEqual([TICK]);
      const again = (): Promise<string> | undefined =>
        schedules?.advance(QUEUE, "report", TICK, 2_000, job({ id: "2" }), CALL);
      expect(await again()).toBe("pushed");
      expect(await again()).toBe("stale");
      expect((await next.info(QUEUE, CALL)).waiting).toBe(1);
      expect((await schedules?.list(QUEUE, { limit: 10 }, CALL))?.schedules.map(({ tick }) => tick)).toEqual([
        2_000,
      ]);
    }, 20_000);
  }

  for (const [since, others] of [["", 0], [", as is another that had its id since", 1]] as const) {
    test(
      `behind its job, whose id the caller chose and which is done by then${since}, has that one job`,
      async () => {
        const prefix = `tick-${crypto.randomUUID()}`;
        const { url } = await server();
        const { transport, cut } = await cutting(url, prefix, 10_000);
        const schedule = { queue: QUEUE, key: "report", tick: TICK, text: "t", payload: new Uint8Array() };
        expect(await transport.schedules?.put(schedule, CALL)).toBe("created");
        await transport.info(QUEUE, CALL);
        const pushed = job({ id: "1", idWindow: 0 });
        const advance = (by: Transport): Promise<string> | undefined =>
          by.schedules?.advance(QUEUE, "report", TICK, 2_000, pushed, CALL);
        let locks = 0;
        await cut(
          async () => await advance(transport),
          (subject) => subject.includes(".i.") && ++locks === 2,
        );
        await using next = nats({ servers: url, prefix, ackWait: 10_000 });
        for (let other = 0;; other++) {
          const look = { limit: 1, slots: 1, lease: 10_000, wait: 0, ...CALL };
          const [held] = await next.reserve([QUEUE], look);
          if (held === undefined) throw new Error("Wanted a delivery");
          const { queue, token } = held;
          expect(await next.settle([{ queue, token, to: "done" }], CALL)).toEqual(["settled"]);
          if (other === others) break;
          expect(await next.push([pushed], CALL)).toEqual(["stored"]);
        }
        expect(await advance(next)).toBe("pushed");
        expect(await next.info(QUEUE, CALL)).toMatchObject({ waiting: 0, reserved: 0 });
      },
      20_000,
    );
  }

  test("whose job has an id that a dead pusher left taken, though its job is done, is pushed", async () => {
    const prefix = `tick-${crypto.randomUUID()}`;
    const { url } = await server();
    const { transport, cut } = await cutting(url, prefix, 10_000);
    const pushed = job({ id: "1", idWindow: 0 });
    let locks = 0;
    await cut(() => transport.push([pushed], CALL), (subject) => subject.includes(".i.") && ++locks === 2);
    // Who reserves would find that job, and give its id free.
    await removeAll(url, `${prefix}_${QUEUE}`, `${prefix}.${QUEUE}.w.>`);
    await using next = nats({ servers: url, prefix, ackWait: 10_000 });
    const { schedules } = next;
    const schedule = { queue: QUEUE, key: "report", tick: TICK, text: "t", payload: new Uint8Array() };
    expect(await schedules?.put(schedule, CALL)).toBe("created");
    const advance = (): Promise<string> | undefined =>
      schedules?.advance(QUEUE, "report", TICK, 2_000, pushed, CALL);
    expect([await advance(), await advance()]).toEqual(["pushed", "stale"]);
    expect((await next.info(QUEUE, CALL)).waiting).toBe(1);
  }, 20_000);

  for (const step of ["push", "move"] as const) {
    test(`before the ${step} longer ago than the server remembers is missed, not repeated`, async () => {
      const { url, prefix } = await ground(step);
      const runtime = sleepyRuntime();
      await using next = nats({ servers: url, prefix, ackWait: 400, runtime });
      await next.info(QUEUE, CALL);
      runtime.sleepThrough(TOO_LONG);
      const { schedules } = next;
      expect(await schedules?.advance(QUEUE, "report", TICK, 2_000, job({ id: "2" }), CALL)).toBe("missed");
      expect((await next.info(QUEUE, CALL)).waiting).toBe(step === "push" ? 0 : 1);
      expect((await schedules?.list(QUEUE, { limit: 10 }, CALL))?.schedules.map(({ tick }) => tick)).toEqual([
        2_000,
      ]);
    }, 20_000);
  }
});
