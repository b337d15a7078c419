/** Leases of NATS that are extended when they are over. */
import { connect, type Msg } from "@nats-io/transport-node";
import { expect } from "vitest";
import { job } from "../../../src/testing/conformance/lab.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { testByClock } from "../../web/support/real_clock.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";

const CALL = { deadline: 30_000 };
const ACK_WAIT = 1_000;
const QUEUE = "work";
const PATIENCE = 120_000;
/** The server's word for a pull that found nothing. */
const NOTHING = 404;

/** What stands in the way of leases as short as these is no fault of the transport. */
const test = testByClock(ACK_WAIT / 4);

describeOn(["nats"], "A lease of NATS that is extended behind its end", () => {
  const start = owned(() => startNats());

  test("is held from then on: the server gives the job to no other worker that asks later", async () => {
    const { url } = await start();
    const prefix = `late-${crypto.randomUUID()}`;
    await using worker = nats({ servers: url, prefix, ackWait: ACK_WAIT });
    const pushed = await worker.push([job({ id: "a", queue: QUEUE }), job({ id: "b", queue: QUEUE })], CALL);
    expect(pushed).toEqual(["stored", "stored"]);
    const held = await worker.reserve([QUEUE], { limit: 2, slots: 2, lease: ACK_WAIT, wait: 0, ...CALL });
    expect(held.map(({ id }) => id)).toEqual(["a", "b"]);
    const other = await connect({ servers: url.replace("nats://", "") });
    try {
      const pull = (body: object): Promise<Msg> =>
        other.request(`$JS.API.CONSUMER.MSG.NEXT.${prefix}_${QUEUE}.relevo`, JSON.stringify(body), {
          noMux: true,
          timeout: 20_000,
        });
      // The leases are over when another worker gets one of the two.
      const { headers } = await pull({ batch: 1, expires: 15_000_000_000 });
      const [taken] = JSON.parse(headers?.get("Relevo") ?? "[]");
      const left = held.find(({ id }) => id !== taken);
      const [queue, token] = [QUEUE, left?.token ?? ""];
      expect(await worker.extend([{ queue, token, ms: ACK_WAIT }], CALL)).toEqual([{ state: "held" }]);
      expect((await pull({ batch: 1, no_wait: true })).headers?.code).toBe(NOTHING);
      expect(await worker.settle([{ queue, token, to: "done" }], CALL)).toEqual(["settled"]);
    } finally {
      await other.close();
    }
  }, PATIENCE);
});
