/** Queues of NATS that cannot be used: told by name, tried again, and no harm to the others. */
import { expect, test } from "vitest";
import type { EventMap, Relay } from "../../../mod.ts";
import { type NatsOptions } from "../../../src/transports/nats/mod.ts";
import { free, heard, running } from "../../web/support/kit.ts";
import { becomes } from "../support/becomes.ts";
import { type NatsServer, startNats } from "../support/servers/nats.ts";
import { describeOn } from "../support/servers/owned.ts";
import { type Ground, groundOn } from "./ground.ts";

const jobs = {
  sound: { schema: free<number>(), queue: "sound" },
  sick: { schema: free<number>(), queue: "sick" },
};
const PATIENCE = 120_000;

/** What is in the way of a queue, as it is told, and how it is mended. */
interface Obstacle {
  readonly options?: Partial<NatsOptions>;
  readonly code: string;
  readonly message: RegExp;
  mend(): Promise<unknown>;
}

/** A worker of two queues, one of which cannot be used: the other's jobs run, and when it is mended so do its own. */
async function tells(ground: Ground, { options, code, message, mend }: Obstacle): Promise<void> {
  const relay: Relay<typeof jobs> = ground.relay(jobs, options);
  const ran: string[] = [];
  relay.handle("sound", (n) => void ran.push(`sound ${n}`));
  relay.handle("sick", (n) => void ran.push(`sick ${n}`));
  const told: EventMap["queue"][] = heard(relay.events, "queue");
  const worker = running(relay, { poll: 50 });
  await becomes("the queue is told to be down", () => told.some(({ state }) => state === "down"));
  expect(told[0]).toMatchObject({ queue: "sick", state: "down", error: { code } });
  expect(told[0]?.error?.message).toMatch(message);
  for (let n = 0; n < 20; n++) await relay.dispatch("sound", n);
  await becomes("the other queue's jobs ran", () => ran.length === 20);
  await expect(relay.dispatch("sick", 0)).rejects.toMatchObject({ code });
  expect(told.filter(({ state }) => state === "down")).toHaveLength(1);
  await mend();
  await becomes("the queue is told to be up", () => told.some(({ state }) => state === "up"));
  await relay.dispatch("sick", 1);
  await becomes("its jobs run", () => ran.includes("sick 1"));
  await worker.abort();
}

/** The stream of the queue in trouble, made by another program. */
async function taken(ground: Ground, settings: object): Promise<Obstacle["mend"]> {
  const name = `${ground.prefix}_sick`;
  const { error } = await ground.api(`STREAM.CREATE.${name}`, { name, ...settings });
  expect(error).toBeUndefined();
  return () => ground.api(`STREAM.DELETE.${name}`);
}

describeOn(["nats"], "A queue of NATS in trouble is told by name, and costs the others nothing:", () => {
  async function on(server: NatsServer, obstacle: (ground: Ground) => Promise<Obstacle>): Promise<void> {
    await using ground = groundOn(server);
    await tells(ground, await obstacle(ground));
  }

  test("its stream's name is taken", async () => {
    await using server = await startNats();
    await on(server, async (ground) => ({
      code: "TRANSPORT_INCOMPATIBLE",
      message: /'g.*_sick'.*retention/,
      mend: await taken(ground, { subjects: [`${ground.prefix}.elsewhere`] }),
    }));
  }, PATIENCE);

  test("a mirror has its stream's name", async () => {
    await using server = await startNats();
    await on(server, async (ground) => {
      const { error } = await ground.api("STREAM.CREATE.origin", { name: "origin", subjects: ["origin.>"] });
      expect(error).toBeUndefined();
      return {
        code: "TRANSPORT_INCOMPATIBLE",
        message: /'g.*_sick' for a queue as it is a mirror of 'origin'/,
        mend: await taken(ground, { mirror: { name: "origin" } }),
      };
    });
  }, PATIENCE);

  test("the account may have no more streams", async () => {
    await using server = await startNats({
      config: `accounts { A { jetstream: { max_streams: 2 }, users: [ { user: u, password: p } ] } }`,
      auth: { user: "u", pass: "p" },
    });
    await on(server, async (ground) => {
      const { error } = await ground.api("STREAM.CREATE.other", { name: "other", subjects: ["other.>"] });
      expect(error).toBeUndefined();
      const first = ground.relay(jobs, { user: "u", pass: "p" });
      await first.dispatch("sound", 0);
      await first.remove("sound", "waiting", "all");
      return {
        options: { user: "u", pass: "p" },
        code: "TRANSPORT_FULL",
        message: /make stream 'g.*_sick'.*maximum number of streams/,
        mend: () => ground.api("STREAM.DELETE.other"),
      };
    });
  }, PATIENCE);

  test("its user may not make its stream", async () => {
    await using server = await startNats({
      config: `authorization { users = [
        { user: boss, password: p }
        { user: poor, password: p, permissions: { publish: { deny: ["$JS.API.STREAM.CREATE.>"] } } } ] }`,
      auth: { user: "boss", pass: "p" },
    });
    await on(server, async (ground) => {
      const boss = ground.relay(jobs, { user: "boss", pass: "p" });
      await boss.dispatch("sound", -1);
      await boss.remove("sound", "waiting", "all");
      return {
        options: { user: "poor", pass: "p" },
        code: "TRANSPORT_FORBIDDEN",
        message: /publish to '\$JS\.API\.STREAM\.CREATE\.g.*_sick' as the server permits it not/,
        mend: () => boss.dispatch("sick", 2),
      };
    });
  }, PATIENCE);
});
