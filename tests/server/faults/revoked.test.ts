/** A right that is taken from a worker while it runs, and given back: told by its name, nothing is lost, and it goes on. */
import { expect, test } from "vitest";
import { createRelay, type Transport } from "../../../mod.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { redis } from "../../../src/transports/redis/mod.ts";
import { job } from "../../../src/testing/conformance/lab.ts";
import { free, heard } from "../../web/support/kit.ts";
import { halting } from "../nats/support.ts";
import { describeOn } from "../support/servers/owned.ts";
import { startNats } from "../support/servers/nats.ts";
import { startRedis } from "../support/servers/redis.ts";

const PATIENCE = 30_000;
/** Jobs that are dispatched before the right is taken, and in all. */
const [BEFORE, ALL] = [10, 20];

interface Scene {
  /** The worker's transport, whose rights change, and another one's, whose do not. */
  readonly poor: Transport;
  readonly owner: Transport;
  take(): Promise<unknown>;
  give(): Promise<unknown>;
  /** What the error must name. */
  readonly named: RegExp;
  /** Whether no job can be done meanwhile. */
  readonly stops: boolean;
}

async function play({ poor, owner, take, give, named, stops }: Scene): Promise<void> {
  const jobs = { work: { schema: free<number>(), queue: "work" } };
  await using relay = createRelay({ jobs, transport: poor, log: false });
  await using producer = createRelay({ jobs, transport: owner, log: false });
  const runs: number[] = [];
  relay.handle("work", (n) => void runs.push(n));
  const states = heard(relay.events, "connection");
  const worker = relay.worker({ poll: 100 });
  const running = worker.run();
  const dispatch = async (from: number, to: number): Promise<void> => {
    for (let n = from; n < to; n++) await producer.dispatch("work", n);
  };
  const seen = (): number => new Set(runs).size;
  await dispatch(0, BEFORE);
  await expect.poll(seen, { timeout: PATIENCE }).toBe(BEFORE);
  await take();
  await dispatch(BEFORE, ALL);
  const messages = (): string =>
    states.map((told) => "error" in told ? String(told.error?.message) : "").join("\n");
  await expect.poll(messages, { timeout: PATIENCE }).toMatch(named);
  // A pull that waits at a server has one job still.
  if (stops) expect(seen()).toBeLessThanOrEqual(BEFORE + 1);
  await give();
  await expect.poll(seen, { timeout: PATIENCE }).toBe(ALL);
  const left = async (): Promise<number> => {
    const { waiting, delayed, reserved, failed, timeout } = await producer.info("work");
    return waiting + delayed + reserved + failed + timeout;
  };
  await expect.poll(left, { timeout: PATIENCE }).toBe(0);
  await worker.stop();
  await running;
}

describeOn(["redis7"], "on Redis", () => {
  test.each([
    ["-evalsha -eval", /EVALSHA/, true],
    ["-xreadgroup", /XREADGROUP/, true],
    ["-xack", /XACK/, false],
    ["-xpending", /XPENDING/, true],
    ["resetkeys ~others", /TRANSPORT_FORBIDDEN|not with these keys/, true],
  ])("rights changed by '%s' under a running worker", async (rights, named, stops) => {
    await using server = await startRedis();
    const set = (...rules: readonly string[]): Promise<unknown> =>
      server.send("ACL", "SETUSER", "poor", ...rules);
    const all = ["on", "~*", "&*", "+@all"];
    await set("reset", ">p", ...all);
    await play({
      poor: redis({ url: server.url.replace("redis://", "redis://poor:p@"), warn: () => {} }),
      owner: redis({ url: server.url, warn: () => {} }),
      take: () => set(...rights.split(" ")),
      give: () => set(...all),
      named,
      stops,
    });
  }, 2 * PATIENCE);
});

describeOn(["nats"], "on NATS", () => {
  const users = (permissions: string): string =>
    `authorization { users = [
      { user: boss, password: p }
      { user: poor, password: p, permissions: { ${permissions} } } ] }`;
  test.each([
    ['publish: { deny: ["$JS.API.CONSUMER.MSG.NEXT.>"] }', /publish to '\$JS\.API\.CONSUMER\.MSG\.NEXT/],
    ['publish: { deny: [">"] }', /publish to '\$JS\.API/],
    // The server drops the subscriptions that are there: pulls that wait at it would wait for what nothing hears.
    ['subscribe: { deny: ["_INBOX.>"] }', /subscribe to '_INBOX/],
  ])("rights changed by '%s' under a running worker", async (denied, named) => {
    const auth = { user: "boss", pass: "p" };
    await using server = await startNats({ config: users(""), auth });
    const open = (user: string): Transport =>
      nats({ servers: server.url, user, pass: "p", ackWait: 2_000, warn: () => {} });
    await play({
      poor: open("poor"),
      owner: open("boss"),
      take: () => server.reconfigure(users(denied)),
      give: () => server.reconfigure(users("")),
      named,
      stops: true,
    });
  }, 2 * PATIENCE);

  test.each([["jobs that wait", "relevo"], ["jobs that came back", "relevo_back"]])(
    "a right that goes before a pull for %s comes to the server is told to the call that waits",
    async (_, consumer) => {
      const auth = { user: "boss", pass: "p" };
      await using server = await startNats({ config: users(""), auth });
      await using poor = await halting(server.url, "pulls", 2_000, { user: "poor", pass: "p" });
      const take = { limit: 1, slots: 1, lease: 2_000, wait: PATIENCE, deadline: PATIENCE };
      const goOn = await poor.halt(
        () => poor.transport.reserve(["work"], take),
        (subject, data) => subject.endsWith(`.${consumer}`) && data.includes("expires"),
      );
      await server.reconfigure(users(`publish: { deny: ["$JS.API.CONSUMER.MSG.NEXT.*.${consumer}"] }`));
      await expect(goOn()).rejects.toMatchObject({
        code: "TRANSPORT_FORBIDDEN",
        message: expect.stringMatching(new RegExp(`publish to '\\$JS.*MSG\\.NEXT.*\\.${consumer}'`)),
      });
      await server.reconfigure(users(""));
      await poor.transport.push([job({ id: "1", queue: "work" })], { deadline: PATIENCE });
      const found = await poor.transport.reserve(["work"], take);
      expect(found.map(({ id }) => id)).toEqual(["1"]);
    },
    2 * PATIENCE,
  );
});
