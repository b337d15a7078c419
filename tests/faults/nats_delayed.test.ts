/** 100,000 delayed jobs that are due together, and a worker that is killed among them. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { job } from "../../src/testing/conformance/lab.ts";
import { nats } from "../../src/transports/nats/mod.ts";
import { becomes } from "../server/support/becomes.ts";
import { ownedFirst } from "../server/support/servers/owned.ts";
import { startNats } from "../server/support/servers/nats.ts";
import { spawnScript } from "../server/support/spawn.ts";

const WRITES = new URL("../server/nats/fixtures/writes.ts", import.meta.url);
const JOBS = 100_000;
const BULK = 1_000;
const QUEUE = "work";
const CALL = { deadline: 60_000 };
const LEASE = 5_000;
/** Milliseconds from the first dispatch to the instant at which all are due. */
const DELAY = 40_000;
/** Bytes of the numbers that the first worker has written when it is killed: of some 10,000 jobs. */
const WRITTEN = 60_000;
/** Milliseconds in which all must be done. */
const PATIENCE = 300_000;

const server = ownedFirst(() => startNats());

function numbersIn(path: string): readonly number[] {
  // A number that was cut off was not written down.
  return existsSync(path) ? readFileSync(path, "utf8").split("\n").slice(0, -1).map(Number) : [];
}

test(
  "100,000 delayed jobs that are due together are all done though a worker among them is killed",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "relevo-delayed-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const prefix = `delayed-${crypto.randomUUID()}`;
    const { url } = server();
    await using transport = nats({ servers: url, prefix, ackWait: LEASE });
    const at = Date.now() + DELAY;
    for (let from = 0; from < JOBS; from += BULK) {
      const some = Array.from({ length: BULK }, (_, n) => {
        const payload = new TextEncoder().encode(`${from + n}`);
        return job({ id: `j${from + n}`, name: "work", queue: QUEUE, payload, at });
      });
      expect(new Set(await transport.push(some, CALL))).toEqual(new Set(["stored"]));
    }
    const stored = Date.now();
    const files = ["killed", "next"].map((name) => join(folder, name));
    const [first = "", second = ""] = files;
    const argumentsFor = (path: string): string[] => [url, prefix, `${LEASE}`, path];
    await using killed = spawnScript(WRITES, argumentsFor(first));
    const isBusy = (): boolean => existsSync(first) && statSync(first).size > WRITTEN;
    await becomes("the first worker is among them", isBusy, PATIENCE);
    killed.kill("SIGKILL");
    await killed.exited;
    const gone = Date.now();
    await using next = spawnScript(WRITES, argumentsFor(second));
    await becomes("the next worker runs jobs", () => numbersIn(second).length > 0, PATIENCE);
    const recovered = Date.now();
    await becomes("nothing is left", async () => {
      const { waiting, delayed, reserved } = await transport.info(QUEUE, CALL);
      return waiting + delayed + reserved === 0;
    }, PATIENCE);
    const over = Date.now();
    next.kill();
    await next.exited;
    const runs = files.flatMap((path) => numbersIn(path));
    const done = new Set(runs);
    console.log(
      `${JOBS} delayed jobs: stored ${at - stored} ms before they were due; jobs ran ${
        recovered - gone
      } ms after a ` +
        `worker was killed, all were done ${over - gone} ms after it and ${
          over - at
        } ms after they were due; ` +
        `${runs.length - done.size} runs were repeated`,
    );
    expect(done.size).toBe(JOBS);
    expect(await transport.info(QUEUE, CALL)).toMatchObject({ failed: 0, timeout: 0 });
  },
  2 * PATIENCE,
);
