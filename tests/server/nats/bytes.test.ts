/** Jobs of many bytes: no pull, page or reload asks for more than a connection may have waiting. */
import { connect } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { createRelay } from "../../../mod.ts";
import type { Delivery } from "../../../src/jobs/exchange.ts";
import { nats, type NatsConnection } from "../../../src/transports/nats/mod.ts";
import { free, heard } from "../../web/support/kit.ts";
import { becomes } from "../support/becomes.ts";
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
  await transport.queues({ deadline: 60_000 });
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

/** A connection on which it is seen what pulls and pages bring. */
interface Weighed extends AsyncDisposable {
  readonly connection: NatsConnection;
  /** Bytes that came to each inbox of one pull or one page. */
  readonly came: ReadonlyMap<string, number>;
  /** Questions of pulls, and the answers to these, that are held back as on a link that stalls. */
  readonly held: { readonly asked: (() => void)[]; readonly told: (() => void)[] };
  /** Whether they are. */
  holds: boolean;
  /** The most single messages that were asked for, and had not come, at one moment. */
  most: number;
}

/** Makes one. */
async function weighed({ port }: NatsServer): Promise<Weighed> {
  const real = await connect({ servers: `127.0.0.1:${port}` });
  const came = new Map<string, number>();
  const pulls = new Set<string | undefined>();
  const open = new Set<string | undefined>();
  const connection = new Proxy(real, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== "function") return value;
      if (key === "publish") {
        return (...parts: Parameters<typeof real.publish>) => {
          if (/^{"(seq":\d+|last_by_subj":"[^"]*")}$/.test(String(parts[1]))) {
            link.most = Math.max(link.most, open.add(parts[2]?.reply).size);
          }
          if (!link.holds || !parts[0].includes(".MSG.NEXT.")) return target.publish(...parts);
          pulls.add(parts[2]?.reply);
          link.held.asked.push(() => target.publish(...parts));
        };
      }
      if (key !== "subscribe") return value.bind(target);
      return (subject: string, { callback }: Parameters<NatsConnection["subscribe"]>[1]) =>
        target.subscribe(subject, {
          callback(error, message) {
            if (subject.endsWith("*")) {
              open.delete(message.subject);
              return callback(error, message);
            }
            came.set(subject, (came.get(subject) ?? 0) + message.data.length);
            if (!link.holds || !pulls.has(subject)) return callback(error, message);
            link.held.told.push(() => callback(error, message));
          },
        });
    },
  });
  const link: Weighed = {
    connection: connection as NatsConnection,
    came,
    held: { asked: [], told: [] },
    holds: false,
    most: 0,
    [Symbol.asyncDispose]: () => real.close(),
  };
  return link;
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
    const relay = ground.relay(jobs, {}, { log: false, callTimeout: PATIENCE });
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

  test("of 400 KB: no pull, page or reload brings more than half a megabyte", async () => {
    await using server = await startNats({ config: "max_pending: 1MB" });
    await using link = await weighed(server);
    await using transport = nats({ connection: link.connection, prefix: "half", ackWait: 5_000 });
    await using relay = createRelay({ jobs, transport, log: false });
    const text = "x".repeat(400_000);
    for (let n = 0; n < 9; n++) await relay.dispatch("work", text, { maxAttempts: 1 });
    expect((await relay.list("work", "waiting", { limit: 9 })).jobs).toHaveLength(9);
    relay.handle("work", () => {
      throw new Error("no");
    });
    await worksUntil(relay, "all are dead", async () => (await relay.info("work")).failed === 9);
    expect((await relay.list("work", "failed", { limit: 9 })).jobs).toHaveLength(9);
    expect(await relay.reload("work", "failed", "all")).toEqual({ reloaded: 9, taken: 0 });
    const most = Math.max(...link.came.values());
    expect([most >= 400_000, most <= 512 * 1024]).toEqual([true, true]);
    expect(await cut(server)).toBe(0);
  }, PATIENCE);

  test("of 400 KB: a pull that asked again and again over a link that stalls gets one", async () => {
    await using server = await startNats({ config: "max_pending: 1MB" });
    await using link = await weighed(server);
    await using transport = nats({ connection: link.connection, prefix: "stalls", ackWait: 10_000 });
    await using relay = createRelay({ jobs, transport });
    const text = "x".repeat(400_000);
    for (let n = 0; n < 9; n++) await relay.dispatch("work", text);
    const options = { limit: 20, slots: 0, lease: 10_000, wait: 0, deadline: 60_000 };
    // From it on a pull knows how large the jobs of this queue are.
    expect(await transport.reserve(["work"], { ...options, limit: 1 })).toHaveLength(1);
    link.holds = true;
    const reserved = transport.reserve(["work"], options);
    const { asked, told } = link.held;
    await becomes("it asked four times", () => asked.length >= 4);
    const [first, ...more] = asked;
    first?.();
    await becomes("the first has brought a job, and no other as that is too much", () => told.length === 2);
    for (const [index, send] of more.entries()) {
      send();
      await becomes("it is answered", () => told.length > 2 + index);
    }
    link.holds = false;
    for (const tell of told) tell();
    expect(await reserved).toHaveLength(1);
    const most = Math.max(...link.came.values());
    expect([most >= 400_000, most <= 512 * 1024]).toEqual([true, true]);
    expect(await relay.info("work")).toMatchObject({ waiting: 7, reserved: 2 });
    expect(await cut(server)).toBe(0);
  }, PATIENCE);

  test("of 400 KB: many that are extended, looked at and removed together are not read at once", async () => {
    await using server = await startNats({ config: "max_pending: 1MB" });
    await using link = await weighed(server);
    await using transport = nats({ connection: link.connection, prefix: "kept", ackWait: 10_000 });
    await using relay = createRelay({ jobs, transport });
    const text = "x".repeat(400_000);
    const options = { limit: 1, slots: 0, lease: 10_000, wait: 0, deadline: 60_000 };
    const held: Delivery[] = [];
    for (let n = 0; n < 9; n++) await relay.dispatch("work", text);
    for (let n = 0; n < 9; n++) held.push(...await transport.reserve(["work"], options));
    expect(held).toHaveLength(9);
    const leases = held.map(({ queue, token }) => ({ queue, token, ms: 10_000 }));
    const extended = await transport.extend(leases, { deadline: 60_000 });
    expect(extended).toEqual(held.map(() => ({ state: "held" })));
    const ids = held.map(({ id }) => id);
    expect(await transport.get("work", ids, { deadline: 60_000 })).toHaveLength(9);
    expect(link.most).toBe(1);
    expect(await relay.remove("work", "reserved", { ids })).toBe(9);
    expect(await cut(server)).toBe(0);
  }, PATIENCE);
});
