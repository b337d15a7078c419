import { wsconnect } from "@nats-io/nats-core";
import { expect, test } from "vitest";
import { createRelay } from "../../../mod.ts";
import { job } from "../../../src/testing/conformance/lab.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";

const CALL = { deadline: 60_000 };
const anything = {
  "~standard": { version: 1, vendor: "here", validate: (value: unknown) => ({ value }) },
} as const;

/** Milliseconds for which a system waits at most for something that its acknowledgement of a message could go with. */
const HELD_BACK = 40;
/** Often enough for a refusal to be lost, which the server sends right before it ends the connection. */
const TIMES = 30;

describeOn(["nats"], "NATS over WebSocket", () => {
  const started = owned(() =>
    startNats({
      config: "authorization { user: app, password: right }",
      auth: { user: "app", pass: "right" },
    })
  );
  const urlOf = async (password: string): Promise<string> =>
    (await started()).ws.replace("//", `//app:${password}@`);
  const left = async (): Promise<unknown> => (await (await started()).monitor("/connz")).num_connections;

  test("jobs are dispatched and handled, and no connection is left", async () => {
    const handled: unknown[] = [];
    const relay = createRelay({
      jobs: { n: anything },
      transport: nats({ servers: await urlOf("right") }),
    });
    relay.handle("n", (value) => void handled.push(value));
    await relay.dispatch("n", "a");
    await relay.drain();
    expect(handled).toEqual(["a"]);
    await relay.close();
    await expect.poll(left).toBe(0);
  });

  test("a connection that was handed over works, and is left open", async () => {
    const { ws } = await started();
    const connection = await wsconnect({ servers: ws, user: "app", pass: "right" });
    const transport = nats({ connection, prefix: "handed" });
    expect(await transport.push([job({ queue: "work", id: "1" })], CALL)).toEqual(["stored"]);
    const look = { limit: 1, slots: 1, lease: 10_000, wait: 5_000, ...CALL };
    const [delivery] = await transport.reserve(["work"], look);
    expect(delivery?.id).toBe("1");
    const held = { queue: "work", token: delivery?.token ?? "" };
    expect(await transport.settle([{ ...held, to: "done" }], CALL)).toEqual(["settled"]);
    await transport[Symbol.asyncDispose]();
    await connection.flush();
    expect(connection.isClosed()).toBe(false);
    expect(await left()).toBe(1);
    await connection.close();
    await expect.poll(left).toBe(0);
  });

  test("a message on its way does not hold the next one back", async () => {
    await using transport = nats({ servers: await urlOf("right"), prefix: "prompt" });
    await transport.push([job({ queue: "work", id: "1", delay: 600_000 })], CALL);
    const times: number[] = [];
    for (let n = 0; n < TIMES; n++) {
      const begun = performance.now();
      // It sends several messages, one behind the other.
      await transport.info("work", CALL);
      times.push(performance.now() - begun);
    }
    times.sort((a, b) => a - b);
    // Where messages are held back, nearly all are; on a busy machine some are late for other reasons.
    expect(times[TIMES / 10]).toBeLessThan(HELD_BACK);
  });

  test("a wrong password is told each time, and no connection is left", async () => {
    for (let times = 0; times < TIMES; times++) {
      const transport = nats({ servers: await urlOf("wrong") });
      await expect(transport.queues(CALL)).rejects.toMatchObject({
        code: "TRANSPORT_UNAVAILABLE",
        message: "Cannot connect to NATS as the server refused the credentials",
      });
      await transport[Symbol.asyncDispose]();
    }
    await expect.poll(left).toBe(0);
  });
});
