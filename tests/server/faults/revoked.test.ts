/** A right that is taken from a worker while it runs, and given back: told by its name, nothing is lost, and it goes on. */
import { expect, test } from "vitest";
import { createRelay, every, fixed, type Transport } from "../../../mod.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { redis } from "../../../src/transports/redis/mod.ts";
import { job } from "../../../src/testing/conformance/lab.ts";
import { free, heard } from "../../web/support/kit.ts";
import { halting } from "../nats/support.ts";
import { describeOn } from "../support/servers/owned.ts";
import { startNats } from "../support/servers/nats.ts";
import { type RedisServer, startRedis } from "../support/servers/redis.ts";
import { openProxy } from "./support/proxy.ts";

const PATIENCE = 60_000;
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
  /** Whether the first run of each job fails, so that the job is stored anew. Default false. */
  readonly fails?: boolean;
}

async function play({ poor, owner, take, give, named, stops, fails = false }: Scene): Promise<void> {
  const jobs = { work: { schema: free<number>(), queue: "work" } };
  await using relay = createRelay({ jobs, transport: poor, log: false });
  await using producer = createRelay({ jobs, transport: owner, log: false });
  const runs: number[] = [];
  relay.handle("work", (n, { attempt }) => {
    if (fails && attempt === 1) throw new Error("The first run fails");
    runs.push(n);
  });
  const states = [heard(relay.events, "connection"), heard(relay.events, "queue")];
  const worker = relay.worker({ poll: 100, backoff: fixed(1) });
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
    states.flat().map((told) => "error" in told ? String(told.error?.message) : "").join("\n");
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

/** Rights of NATS: whether the connection is cut when they are gone, and what they keep from being done. */
interface Named {
  readonly cut?: boolean;
  readonly stops?: boolean;
  readonly fails?: boolean;
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
    await play({ ...await withRights(server, rights), named, stops });
  }, 2 * PATIENCE);

  test.each(["xadd", "xdel", "zadd", "hset", "set", "del"])(
    "a right to run '%s' that goes while jobs are stored anew leaves no half of a job",
    async (command) => {
      await using server = await startRedis();
      const scene = await withRights(server, `-${command}`);
      await play({ ...scene, named: new RegExp(command.toUpperCase()), stops: false, fails: true });
    },
    2 * PATIENCE,
  );
});

/** A user that may do all until it may not. */
async function withRights(
  server: RedisServer,
  rights: string,
): Promise<Pick<Scene, "poor" | "owner" | "take" | "give">> {
  const set = (...rules: readonly string[]): Promise<unknown> =>
    server.send("ACL", "SETUSER", "poor", ...rules);
  const all = ["on", "~*", "&*", "+@all"];
  await set("reset", ">p", ...all);
  return {
    poor: redis({ url: server.url.replace("redis://", "redis://poor:p@"), warn: () => {} }),
    owner: redis({ url: server.url, warn: () => {} }),
    take: () => set(...rights.split(" ")),
    give: () => set(...all),
  };
}

describeOn(["nats"], "on NATS", () => {
  const users = (permissions: string): string =>
    `authorization { users = [
      { user: boss, password: p }
      { user: poor, password: p, permissions: { ${permissions} } } ] }`;
  const auth = { user: "boss", pass: "p" };
  const open = (user: string, port: number): Transport =>
    nats({ servers: `nats://127.0.0.1:${port}`, user, pass: "p", ackWait: 2_000, warn: () => {} });

  test.each([
    ['publish: { deny: ["$JS.API.CONSUMER.MSG.NEXT.>"] }', /publish to '\$JS\.API\.CONSUMER\.MSG\.NEXT/, {}],
    ['publish: { deny: [">"] }', /publish to '\$JS\.API/, {}],
    ['publish: { deny: ["$JS.ACK.>"] }', /publish to '\$JS\.ACK\.relevo_work/, { stops: false }],
    ['publish: { deny: ["relevo.>"] }', /publish to 'relevo\.work/, { stops: false, fails: true }],
    // What is read once on each connection.
    ['publish: { deny: ["$JS.API.STREAM.INFO.>"] }', /publish to '\$JS\.API\.STREAM\.INFO/, { cut: true }],
    ['publish: { deny: ["$JS.API.CONSUMER.INFO.>"] }', /publish to '\$JS\.API\.CONSUMER\.INFO/, {
      cut: true,
    }],
    // The server drops the subscriptions that are there: pulls that wait at it would wait for what nothing hears.
    ['subscribe: { deny: ["_INBOX.>"] }', /subscribe to '_INBOX/, {}],
  ])(
    "rights changed by '%s' under a running worker",
    async (denied, named, { cut = false, stops = true, fails = false }: Named) => {
      await using server = await startNats({ config: users(""), auth });
      const proxy = await openProxy(server.port);
      try {
        await play({
          poor: open("poor", proxy.port),
          owner: open("boss", server.port),
          async take() {
            await server.reconfigure(users(denied));
            if (cut) proxy.cut();
          },
          give: () => server.reconfigure(users("")),
          named,
          stops,
          fails,
        });
      } finally {
        await proxy.close();
      }
    },
    2 * PATIENCE,
  );

  test("a process that only dispatches is refused at once by a right's name, and goes on", async () => {
    await using server = await startNats({ config: users(""), auth });
    const jobs = { work: { schema: free<number>(), queue: "work" } };
    await using relay = createRelay({ jobs, transport: open("poor", server.port), callTimeout: PATIENCE });
    await relay.dispatch("work", 1);
    await server.reconfigure(users('publish: { deny: ["relevo.>"] }'));
    const refusal = {
      code: "TRANSPORT_FORBIDDEN",
      message: expect.stringContaining("publish to 'relevo.work"),
    };
    await expect(relay.dispatch("work", 2)).rejects.toMatchObject(refusal);
    await server.reconfigure(users(""));
    await relay.dispatch("work", 5);
    expect(await relay.info("work")).toMatchObject({ waiting: 2 });
  }, PATIENCE);

  test(
    "a right to bind groups, or to store ticks, that goes is told by its name, and its return noticed",
    async () => {
      await using server = await startNats({ config: users(""), auth });
      const jobs = {
        news: { schema: free<number>(), topic: true },
        tick: { schema: free<number>(), queue: "ticks" },
      };
      await using owner = createRelay({ jobs, transport: open("boss", server.port), log: false });
      await using relay = createRelay({ jobs, transport: open("poor", server.port), log: false });
      const seen: string[] = [];
      relay.handle("tick", () => void seen.push("tick"));
      relay.handle("news", () => void seen.push("news"), { group: "mail" });
      await owner.schedule("tick", 1, { when: every(50), key: "often" });
      await owner.dispatch("news", 1);
      await server.reconfigure(users('publish: { deny: ["relevo.>"] }'));
      const told = [heard(relay.events, "queue"), heard(relay.events, "error")];
      const worker = relay.worker({ poll: 100 });
      const running = worker.run();
      const messages = (): string => told.flat().map(({ error }) => String(error?.message)).join("\n");
      await expect.poll(messages, { timeout: PATIENCE }).toMatch(/publish to 'relevo\.news/);
      await expect.poll(messages, { timeout: PATIENCE }).toMatch(/publish to 'relevo\.ticks/);
      expect(seen).toEqual([]);
      await server.reconfigure(users(""));
      await expect.poll(() => seen, { timeout: PATIENCE }).toEqual(expect.arrayContaining(["news", "tick"]));
      await worker.stop();
      await running;
    },
    2 * PATIENCE,
  );

  test.each([["jobs that wait", "relevo"], ["jobs that came back", "relevo_back"]])(
    "a right that goes before a pull for %s comes to the server is told to the call that waits",
    async (_, consumer) => {
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
