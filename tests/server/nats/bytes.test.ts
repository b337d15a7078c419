/** Jobs of many bytes: no pull, page or reload asks for more than a connection may have waiting. */
import { expect, test } from "vitest";
import { createRelay } from "../../../mod.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { free, heard } from "../../web/support/kit.ts";
import { type NatsServer, startNats } from "../support/servers/nats.ts";
import { describeOn } from "../support/servers/owned.ts";
import { type Ground, groundOn, worksUntil } from "./ground.ts";

const jobs = { work: { schema: free<string>(), queue: "work" } };
const PATIENCE = 120_000;

/** Connections that the server cut as it could not empty them. */
async function cut({ monitor }: NatsServer): Promise<unknown> {
  return (await monitor("/varz"))["slow_consumers"];
}

/** Dispatches so many jobs of so many bytes, handles them all, and looks that none was handed over twice. */
async function handles(ground: Ground, count: number, size: number): Promise<void> {
  await using transport = nats({ servers: ground.server.url, prefix: ground.prefix, ackWait: 5_000 });
  // How much a server takes it says when it is first reached.
  await transport.queues({ deadline: 5_000 });
  await using relay = createRelay({ jobs, transport, maxPayload: size + 100 });
  const text = "x".repeat(size);
  for (let n = 0; n < count; n++) await relay.dispatch("work", text);
  expect((await relay.list("work", "waiting", { limit: count })).jobs).toHaveLength(count);
  const completed = heard(relay.events, "completed");
  const stale = heard(relay.events, "stale");
  relay.handle("work", () => {});
  await worksUntil(relay, "all are handled", () => completed.length >= count, { concurrency: 20 });
  expect([completed.length, stale]).toEqual([count, []]);
  expect(await relay.info("work")).toMatchObject({ waiting: 0, reserved: 0 });
}

describeOn(["nats"], "Large jobs of NATS", () => {
  test("of 400 KB pass through a connection that may have 1 MB waiting", async () => {
    await using server = await startNats({ config: "max_pending: 1MB" });
    await using ground = groundOn(server);
    await handles(ground, 60, 400_000);
    expect(await cut(server)).toBe(0);
  }, PATIENCE);

  test("of 7 MB pass where the server takes 8 MB", async () => {
    await using server = await startNats({ config: "max_payload: 8MB" });
    await using ground = groundOn(server);
    await handles(ground, 12, 7_000_000);
    expect(await cut(server)).toBe(0);
  }, PATIENCE);

  test("250 dead ones of 500 KB are reloaded at once, and all run", async () => {
    await using server = await startNats();
    await using ground = groundOn(server);
    const relay = ground.relay(jobs, {}, { log: false });
    const text = "x".repeat(500_000);
    let dies = true;
    let ran = 0;
    relay.handle("work", () => {
      if (dies) throw new Error("no");
      ran++;
    });
    for (let n = 0; n < 250; n++) await relay.dispatch("work", text, { maxAttempts: 1 });
    await worksUntil(relay, "all are dead", async () => (await relay.info("work")).failed === 250);
    dies = false;
    expect(await relay.reload("work", "failed", "all")).toEqual({ reloaded: 250, taken: 0 });
    await worksUntil(relay, "all are done", () => ran === 250);
    expect(await relay.info("work")).toMatchObject({ waiting: 0, reserved: 0, failed: 0 });
    expect(await cut(server)).toBe(0);
  }, PATIENCE);
});
