/** Processes of different code over one store: rolling deploys of keys, compression and versions. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createRelay } from "../../mod.ts";
import { connect } from "../../src/connect.ts";
import { free } from "../web/support/kit.ts";
import { ALL } from "./support/all.ts";
import { becomes } from "./support/becomes.ts";
import { describeOn, owned } from "./support/servers/owned.ts";
import { startRedis } from "./support/servers/redis.ts";
import { type Child, spawnScript } from "./support/spawn.ts";

const FLEET = new URL("./fixtures/fleet.ts", import.meta.url);
/** Each that comes to the wrong process is handed back for longer than before, so that more of them take minutes. */
const JOBS = ALL ? 12 : 4;
const CLEAR = "clear text";
const PATIENCE = 240_000;

/** What the processes have told. */
interface Tally {
  readonly done: string[];
  readonly dead: string[];
}

/** Writes down what a process says until it ends. */
async function follow(child: Child, { done, dead }: Tally): Promise<void> {
  for await (const line of child.lines) {
    const [word = "", ...rest] = line.split(" ");
    if (word === "done") done.push(rest.join(" "));
    if (word === "dead") dead.push(rest.join(" "));
  }
}

async function deploy(url: string): Promise<void> {
  const bare = createRelay({ jobs: { keys: free<string>() }, transport: await connect(url), log: false });
  await bare.dispatch("keys", "in clear", { id: CLEAR });
  const tally: Tally = { done: [], dead: [] };
  const all = 2 * 3 * JOBS + 1;
  const told = (): number => tally.done.length + tally.dead.length;
  {
    await using older = spawnScript(FLEET, [url, "old", `${JOBS}`]);
    await using newer = spawnScript(FLEET, [url, "new", `${JOBS}`]);
    const followed = Promise.all([older, newer].map((child) => follow(child, tally)));
    await becomes("most jobs end while both generations run", () => told() >= all - JOBS, PATIENCE);
    // A job that comes to the wrong process again and again waits longer each time: the deploy ends for the last ones.
    older.write("stop");
    expect(await older.exited).toEqual({ code: 0, signal: null });
    await becomes("the newer generation ends the others", () => told() >= all, PATIENCE);
    newer.write("stop");
    expect(await newer.exited).toEqual({ code: 0, signal: null });
    await followed;
  }
  const names = ["old", "new"].flatMap((generation) =>
    ["keys", "zipped", "versions"].flatMap((name) =>
      Array.from({ length: JOBS }, (_, n) => `${generation} ${name} ${n}`)
    )
  );
  expect(tally.done.toSorted()).toEqual(names.toSorted());
  // What was not encrypted must die where encryption is required, and nothing else.
  expect(tally.dead).toEqual([`${CLEAR} undecodable`]);
  expect(await bare.info()).toMatchObject({ waiting: 0, delayed: 0, reserved: 0, failed: 1, timeout: 0 });
  await bare.close();
}

test(
  "F012: processes with an old and a new key ring, version and compression share one SQLite file",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "relevo-fleet-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    await deploy(`sqlite:${join(folder, "jobs.db")}`);
  },
  3 * PATIENCE,
);

describeOn(["redis7"], "Processes of different code on Redis", () => {
  const server = owned(startRedis);
  test(
    "F012: processes with an old and a new key ring, version and compression share one Redis",
    async () => {
      await deploy((await server()).url);
    },
    3 * PATIENCE,
  );
});
