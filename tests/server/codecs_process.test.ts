/** Processes of different code over one store: rolling deploys of keys, compression and versions. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createRelay } from "../../mod.ts";
import { connect } from "../../src/connect.ts";
import { free } from "../web/support/kit.ts";
import { ALL } from "./support/all.ts";
import { describeOn, owned } from "./support/servers/owned.ts";
import { startRedis } from "./support/servers/redis.ts";
import { type Child, spawnScript } from "./support/spawn.ts";

const FLEET = new URL("./fixtures/fleet.ts", import.meta.url);
/** Each that comes to the wrong process is handed back for longer than before, so that more of them take minutes. */
const JOBS = ALL ? 12 : 4;
const CLEAR = "clear text";
/** Hand-backs grow further apart, and the next may come to the process that cannot read the job, again. */
const PATIENCE = 240_000;

/** Reads what a process says until all jobs are accounted for. */
async function listen(child: Child, done: Set<string>, dead: string[], all: number): Promise<void> {
  for await (const line of child.lines) {
    const [word = "", ...rest] = line.split(" ");
    if (word === "done") {
      expect(done).not.toContain(rest.join(" "));
      done.add(rest.join(" "));
    }
    if (word === "dead") dead.push(rest.join(" "));
    if (done.size + dead.length === all) return;
  }
  throw new Error(`A process ended before its time: ${child.stderr()}`);
}

async function deploy(url: string): Promise<void> {
  const bare = createRelay({ jobs: { keys: free<string>() }, transport: await connect(url), log: false });
  await bare.dispatch("keys", "in clear", { id: CLEAR });
  const done = new Set<string>();
  const dead: string[] = [];
  const all = 2 * 3 * JOBS + 1;
  {
    await using older = spawnScript(FLEET, [url, "old", `${JOBS}`]);
    await using newer = spawnScript(FLEET, [url, "new", `${JOBS}`]);
    await Promise.race([older, newer].map((child) => listen(child, done, dead, all)));
    for (const child of [older, newer]) child.write("stop");
    expect(await Promise.all([older.exited, newer.exited])).toEqual([
      { code: 0, signal: null },
      { code: 0, signal: null },
    ]);
  }
  const names = ["old", "new"].flatMap((generation) =>
    ["keys", "zipped", "versions"].flatMap((name) =>
      Array.from({ length: JOBS }, (_, n) => `${generation} ${name} ${n}`)
    )
  );
  expect([...done].toSorted()).toEqual(names.toSorted());
  // What was not encrypted must die where encryption is required, and nothing else.
  expect(dead).toEqual([`${CLEAR} undecodable`]);
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
  PATIENCE,
);

describeOn(["redis7"], "Processes of different code on Redis", () => {
  const server = owned(startRedis);
  test(
    "F012: processes with an old and a new key ring, version and compression share one Redis",
    async () => {
      await deploy((await server()).url);
    },
    PATIENCE,
  );
});
