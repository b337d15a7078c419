/** An operator or an accident under a running worker: told in words, nothing hangs, and what the server has is done. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { EventMap } from "../../../mod.ts";
import type { NatsOptions } from "../../../src/transports/nats/mod.ts";
import { free, heard, rejection, running } from "../../web/support/kit.ts";
import { becomes } from "../support/becomes.ts";
import { type NatsServer, startNats } from "../support/servers/nats.ts";
import { describeOn } from "../support/servers/owned.ts";
import { type Ground, groundOn } from "./ground.ts";

const jobs = { work: { schema: free<string>(), queue: "work" } };
const PATIENCE = 120_000;
const BEFORE = 10;

/** What happens to a server under a worker. */
interface Accident {
  readonly options?: Partial<NatsOptions>;
  /** Makes it happen. Jobs that it takes with it are named by their payloads. */
  strike(ground: Ground): Promise<unknown>;
  /** What the worker's events, or the error of a dispatch meanwhile, must say; absent for one that may be mended before. */
  readonly told?: RegExp;
  /** Undoes it, where an operator must. */
  mend?(ground: Ground): Promise<unknown>;
  /** Whether a job that was waiting, delayed by a second, is gone with the accident. */
  readonly loses: boolean;
}

/** Plays an accident: jobs before, meanwhile and after it. */
async function play(
  server: NatsServer,
  { options, strike, told, mend, loses }: Accident,
): Promise<void> {
  await using ground = groundOn(server);
  const relay = ground.relay(jobs, options, { log: false, callTimeout: 5_000 });
  const producer = ground.relay(jobs, options, { log: false, callTimeout: 5_000 });
  const runs: string[] = [];
  relay.handle("work", (text) => void runs.push(text));
  const words: string[] = [];
  const note = (events: readonly { readonly error?: unknown }[]): string[] =>
    events.flatMap(({ error }) => error instanceof Error ? [error.message] : []);
  const queues: EventMap["queue"][] = heard(relay.events, "queue");
  const connections: EventMap["connection"][] = heard(relay.events, "connection");
  const worker = running(relay, { poll: 100 });
  for (let n = 0; n < BEFORE; n++) await producer.dispatch("work", `before ${n}`);
  await becomes("the jobs before ran", () => new Set(runs).size === BEFORE);
  await producer.dispatch("work", "delayed", { delay: 3_000 });
  await strike(ground);
  await becomes("it is told", async () => {
    await producer.dispatch("work", "meanwhile").catch((error: Error) => void words.push(error.message));
    return told === undefined || told.test([...words, ...note(queues), ...note(connections)].join("\n"));
  });
  await mend?.(ground);
  await becomes(
    "a dispatch is taken",
    () => producer.dispatch("work", "after").then(() => true, () => false),
  );
  await becomes("the job after ran", () => runs.includes("after"));
  if (!loses) await becomes("the delayed job ran", () => runs.includes("delayed"));
  await becomes("nothing is left", async () => {
    const { waiting, delayed, reserved } = await producer.info("work");
    return waiting + delayed + reserved === 0;
  });
  expect(await producer.info("work")).toMatchObject({ failed: 0, timeout: 0 });
  // Whatever was down is told to be up.
  for (const states of [queues, connections]) {
    if (states.length > 0) await becomes("it is up again", () => states.at(-1)?.state === "up");
  }
  expect(worker.ended).toBe(false);
  await worker.abort();
}

const users = (names: readonly string[]): string =>
  `authorization { users = [ ${names.map((user) => `{ user: ${user}, password: p }`).join(", ")} ] }`;
const account = (limit: string): string =>
  `accounts { A { jetstream: { max_file: ${limit} }, users: [ { user: boss, password: p } ] } }`;
const boss = { user: "boss", pass: "p" };

describeOn(["nats"], "Under a running worker of NATS", () => {
  test.concurrent("a stream that an operator deletes is told, and made anew", async () => {
    await using server = await startNats();
    await play(server, {
      strike: (ground) => ground.api(`STREAM.DELETE.${ground.prefix}_work`),
      told: /stream|no server answers/i,
      loses: true,
    });
  }, PATIENCE);

  test.concurrent("consumers that an operator deletes are made anew, and no job is lost", async () => {
    await using server = await startNats();
    await play(server, {
      async strike(ground) {
        for (const name of ["relevo", "relevo_back"]) {
          await ground.api(`CONSUMER.DELETE.${ground.prefix}_work.${name}`);
        }
      },
      loses: false,
    });
  }, PATIENCE);

  test.concurrent(
    "a server that comes back with an empty store is told, and its streams are made anew",
    async () => {
      await using server = await startNats();
      await play(server, {
        async strike() {
          await server.stop();
          const [folder = ""] = server.folders;
          rmSync(join(folder, "data"), { recursive: true });
          await server.start();
        },
        told: /link|connect|stream|no server answers/i,
        loses: true,
      });
    },
    PATIENCE,
  );

  test.concurrent(
    "credentials that are taken away are told, and work goes on when they are given back",
    async () => {
      await using server = await startNats({ config: users(["boss", "poor"]), auth: boss });
      await play(server, {
        options: { user: "poor", pass: "p" },
        strike: () => server.reconfigure(users(["boss"])),
        told: /refused the credentials|link to NATS is lost/,
        mend: () => server.reconfigure(users(["boss", "poor"])),
        loses: false,
      });
    },
    PATIENCE,
  );

  test.concurrent(
    "an account's limit that is lowered below its use is told to dispatches, and all that is there is done",
    async () => {
      await using server = await startNats({ config: account("100MB"), auth: boss });
      await play(server, {
        options: boss,
        strike: () => server.reconfigure(account("1KB")),
        told: /the account has less than its reserve left|limit of the server/,
        mend: () => server.reconfigure(account("100MB")),
        loses: false,
      });
    },
    PATIENCE,
  );
});

describeOn(["nats"], "A server of NATS that takes less than before", () => {
  test("refuses larger jobs from then on, and those that are there are done", async () => {
    await using server = await startNats({ config: "max_payload: 1MB" });
    await using ground = groundOn(server);
    const producer = ground.relay(jobs, {}, { log: false });
    const large = "x".repeat(100_000);
    await producer.dispatch("work", large);
    await server.reconfigure("max_payload: 64KB");
    const relay = ground.relay(jobs, {}, { log: false });
    const sizes: number[] = [];
    relay.handle("work", (text) => void sizes.push(text.length));
    const worker = running(relay, { poll: 100 });
    await becomes("the large job is done", () => sizes.includes(large.length));
    // The first one ends the link, as the client has not heard of the new limit: then it has.
    await becomes("a large job is refused", async () => {
      const error = await rejection(producer.dispatch("work", large));
      return /TooLarge/.test(error.name);
    });
    await producer.dispatch("work", "small");
    await becomes("the small job is done", () => sizes.includes("small".length));
    await becomes("nothing is left", async () => {
      const { waiting, reserved } = await producer.info("work");
      return waiting + reserved === 0;
    });
    await worker.abort();
  }, PATIENCE);
});
