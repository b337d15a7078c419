/** Consumers and streams of NATS that an operator changes under a running worker: told by name, and no job is harmed. */
import { connect, headers } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import type { EventMap } from "../../../mod.ts";
import { job } from "../../../src/testing/conformance/lab.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { free, heard, running } from "../../web/support/kit.ts";
import { becomes } from "../support/becomes.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { type Ground, groundOn } from "./ground.ts";

const jobs = {
  sound: { schema: free<number>(), queue: "sound" },
  sick: { schema: free<number>(), queue: "sick" },
};
const PATIENCE = 120_000;
const CALL = { deadline: 30_000 };

/** Changes settings of the consumer of jobs that wait, as another program does. */
async function change(ground: Ground, settings: object): Promise<void> {
  const name = `${ground.prefix}_sick`;
  const { config } = await ground.api(`CONSUMER.INFO.${name}.relevo`);
  const body = { stream_name: name, config: { ...config as object, ...settings }, action: "update" };
  const { error } = await ground.api(`CONSUMER.CREATE.${name}.relevo`, body);
  expect(error).toBeUndefined();
}

describeOn(["nats"], "A consumer of NATS that is changed under a running worker", () => {
  const start = owned(() => startNats());

  test.concurrent("and hands over headers only is told by name: each handler gets its payload", async () => {
    await using ground = groundOn(await start());
    const relay = ground.relay(jobs);
    const seen: unknown[] = [];
    const sound: number[] = [];
    relay.handle("sick", (n) => void seen.push(n));
    relay.handle("sound", (n) => void sound.push(n));
    const told: EventMap["queue"][] = heard(relay.events, "queue");
    const worker = running(relay, { poll: 50 });
    await relay.dispatch("sick", 0);
    await becomes("the first ran", () => seen.length === 1);
    await change(ground, { headers_only: true });
    await relay.dispatch("sick", 1);
    await becomes("the queue is told to be down", () => told.some(({ state }) => state === "down"));
    expect(told[0]).toMatchObject({
      queue: "sick",
      during: "reserve",
      error: { code: "TRANSPORT_INCOMPATIBLE", message: expect.stringMatching(/headers only/) },
    });
    for (let n = 0; n < 20; n++) await relay.dispatch("sound", n);
    await becomes("the other queue's jobs ran", () => sound.length === 20);
    await change(ground, { headers_only: false });
    await becomes("the queue is told to be up", () => told.some(({ state }) => state === "up"));
    await becomes("its job ran", () => seen.length === 2);
    expect(seen).toEqual([0, 1]);
    await worker.abort();
  }, PATIENCE);

  test.concurrent(
    "is told from an empty entry that bears the header of such messages: its job runs",
    async () => {
      const server = await start();
      await using ground = groundOn(server);
      const relay = ground.relay(jobs, { ackWait: 500 });
      const ran: string[] = [];
      relay.handle("sick", () => void ran.push("job"));
      await relay.dispatch("sick", 0);
      const client = await connect({ servers: server.url });
      const lines = headers();
      lines.set("Nats-Msg-Size", "5");
      await client.request(`${ground.prefix}.sick.in.x`, "", { headers: lines, timeout: 30_000 });
      await client.close();
      const failed = heard(relay.events, "failed");
      const worker = running(relay, { poll: 50 });
      await becomes("both are through", () => ran.length + failed.length === 2);
      await worker.abort();
    },
    PATIENCE,
  );

  test.concurrent("and a stream without direct gets makes a listing end with a typed error", async () => {
    const server = await start();
    await using ground = groundOn(server);
    await using transport = nats({ servers: server.url, prefix: ground.prefix });
    await transport.push([job({ queue: "sick" })], CALL);
    const name = `${ground.prefix}_sick`;
    const { config } = await ground.api(`STREAM.INFO.${name}`);
    await ground.api(`STREAM.UPDATE.${name}`, { ...config as object, allow_direct: false });
    const list = (): Promise<unknown> => transport.list("sick", "waiting", { limit: 10, preview: 0 }, CALL);
    await expect(list()).rejects.toMatchObject({ code: "TRANSPORT_UNAVAILABLE" });
  }, PATIENCE);
});
