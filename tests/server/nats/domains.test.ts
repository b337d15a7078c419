/** JetStream under another name: of a domain behind a leaf node, and imported from another account. */
import { expect, test } from "vitest";
import { connect } from "../../../src/connect.ts";
import type { Delivery } from "../../../src/jobs/exchange.ts";
import { job } from "../../../src/testing/conformance/lab.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn } from "../support/servers/owned.ts";
import { claimPorts } from "../support/servers/ports.ts";

const CALL = { deadline: 60_000 };
const TAKE = { limit: 10, slots: 10, lease: 30_000, wait: 5_000, ...CALL };
const QUEUE = "work";
const PATIENCE = 120_000;

/** A job that waits, one that is delayed and a dead one: all that moves. */
async function works(transport: Transport): Promise<void> {
  const stored = await transport.push([
    job({ queue: QUEUE, id: "now", idWindow: 60_000 }),
    job({ queue: QUEUE, id: "later", delay: 500 }),
  ], CALL);
  expect(stored).toEqual(["stored", "stored"]);
  const found: Delivery[] = [];
  while (found.length < 2) found.push(...await transport.reserve([QUEUE], TAKE));
  expect(found.map(({ id }) => id)).toEqual(["now", "later"]);
  const [now, later] = found.map(({ queue, token }) => ({ queue, token }));
  if (now === undefined || later === undefined) throw new Error("Wanted two deliveries");
  expect(await transport.settle([{ ...now, to: "done" }], CALL)).toEqual(["settled"]);
  expect(await transport.settle([{ ...later, to: "failed", meta: "m", reason: "r" }], CALL)).toEqual([
    "settled",
  ]);
  expect(await transport.info(QUEUE, CALL)).toEqual({
    waiting: 0,
    delayed: 0,
    reserved: 0,
    failed: 1,
    timeout: 0,
  });
}

describeOn(["nats"], "JetStream of NATS by another name", () => {
  test("a domain behind a leaf node is used by 'domain', as an option and in a URL", async () => {
    await using claim = await claimPorts(1);
    const [port = 0] = claim.ports;
    await using hub = await startNats({
      limits: { domain: "hub" },
      config: `leafnodes { listen: "127.0.0.1:${port}" }`,
    });
    await using leaf = await startNats({
      limits: { domain: "leaf" },
      config: `leafnodes { remotes: [ { url: "nats://127.0.0.1:${port}" } ] }`,
    });
    await using transport = nats({ servers: leaf.url, domain: "hub" });
    await expect.poll(() => transport.queues({ deadline: 1_000 }).then(() => true, () => false)).toBe(true);
    await works(transport);
    await using other = await connect(`${leaf.url}?domain=hub`);
    expect(await other.queues(CALL)).toEqual([QUEUE]);
    await using near = await connect(hub.url);
    expect(await near.info(QUEUE, CALL)).toMatchObject({ failed: 1 });
    await using own = await connect(leaf.url);
    expect(await own.queues(CALL)).toEqual([]);
  }, PATIENCE);

  test("an account that imports JetStream under another prefix uses it by 'apiPrefix'", async () => {
    await using server = await startNats({
      config: `accounts {
        A { jetstream: enabled, users: [ { user: a, password: p } ], exports: [
          { service: "$JS.API.>", response_type: stream }
          { service: "$JS.ACK.>" }
          { service: "relevo.>" } ] }
        B { users: [ { user: b, password: p } ], imports: [
          { service: { account: A, subject: "$JS.API.>" }, to: "JS.a.API.>" }
          { service: { account: A, subject: "$JS.ACK.>" } }
          { service: { account: A, subject: "relevo.>" } } ] } }`,
      auth: { user: "a", pass: "p" },
    });
    await using transport = nats({ servers: server.url, user: "b", pass: "p", apiPrefix: "JS.a.API" });
    await works(transport);
    await using owner = nats({ servers: server.url, user: "a", pass: "p" });
    expect(await owner.info(QUEUE, CALL)).toMatchObject({ failed: 1 });
  }, PATIENCE);

  test("both names at once, and wildcards, are refused", () => {
    expect(() => nats({ servers: "a", domain: "x", apiPrefix: "y" })).toThrow(
      "at most one of 'domain' and 'apiPrefix'",
    );
    expect(() => nats({ servers: "a", apiPrefix: "a.>" })).toThrow(
      "'apiPrefix' must be a subject without wildcards",
    );
    expect(() => nats({ servers: "a", domain: "a.b" })).toThrow("'domain' must be");
  });
});
