import { expect, test } from "vitest";
import { createRelay } from "../../../mod.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";

const anything = {
  "~standard": { version: 1, vendor: "here", validate: (value: unknown) => ({ value }) },
} as const;

/** Often enough for a refusal to be lost, which the server sends right before it ends the connection. */
const TIMES = 30;

describeOn(["nats29"], "NATS over WebSocket", () => {
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

  test("a wrong password is told each time, and no connection is left", async () => {
    for (let times = 0; times < TIMES; times++) {
      const transport = nats({ servers: await urlOf("wrong") });
      await expect(transport.queues({ deadline: 2_000 })).rejects.toMatchObject({
        code: "TRANSPORT_UNAVAILABLE",
        message: "Cannot connect to NATS as the server refused the credentials",
      });
      await transport[Symbol.asyncDispose]();
    }
    await expect.poll(left).toBe(0);
  });
});
