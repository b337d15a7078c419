import { expect, onTestFinished, test } from "vitest";
import { createFakeRuntime } from "../../../src/testing/mod.ts";
import { createForeignCommits, type ForeignCommits } from "../../../src/transports/sqlite/waiters_commits.ts";
import { watchFile } from "../../../src/transports/sqlite/engine/log_watch.ts";
import { connection as openFile, newFile } from "./support.ts";

const probe = 25;

/** A store whose version and notifications are the test's, and a call that waits until the test says otherwise. */
function setup(canWatch = true) {
  const runtime = createFakeRuntime();
  const world = { version: 1, opened: 1, watched: [] as string[], unwatched: 0, waits: true, found: 0 };
  let notify = (): void => {};
  let fail = (): void => {};
  const foreign: ForeignCommits = createForeignCommits({
    connection: {
      version: () => world.version,
      opened: () => world.opened,
      file: () => "/jobs.db",
      probes: true,
      shared: true,
    },
    runtime,
    probe,
    watch(file, changed, failed) {
      world.watched.push(file);
      if (!canWatch) return undefined;
      [notify, fail] = [changed, failed];
      return () => world.unwatched++;
    },
    checkNow() {
      if (world.waits && foreign.check()) world.found++;
      return world.waits;
    },
  });
  /** Checks as the waiters do; answers how often, and stops at the first commit found. */
  const wait = async (ms: number): Promise<number> => {
    const end = runtime.monotonic() + ms;
    for (let checks = 1;; checks++) {
      const pause = foreign.every();
      if (runtime.monotonic() + pause > end) return checks;
      await runtime.advance(pause);
      if (foreign.check()) {
        world.found++;
        return checks;
      }
    }
  };
  return { runtime, world, foreign, wait, notify: () => notify(), fail: () => fail() };
}

test("where the system notifies, a quiet store is checked four times a second", async () => {
  const { foreign, wait, world } = setup();
  foreign.check();
  expect(await wait(60_000)).toBeLessThan(260);
  expect(world.watched).toEqual(["/jobs.db-wal"]);
});

test("where a file cannot be watched, a quiet store is checked every 25 ms, and watching is not tried again", async () => {
  const { foreign, wait, world } = setup(false);
  foreign.check();
  const checks = await wait(60_000);
  expect(checks).toBeGreaterThan(2_000);
  expect(checks).toBeLessThan(4_000);
  expect(world.watched).toHaveLength(1);
});

test("a commit that is visible when its notification comes is found at once", async () => {
  const { foreign, wait, world, notify } = setup();
  foreign.check();
  await wait(10_000);
  world.version++;
  notify();
  expect(world.found).toBe(1);
});

test("a commit that becomes visible 5 ms behind its notification is found 3 ms later at most", async () => {
  const { foreign, runtime, wait, world, notify } = setup();
  foreign.check();
  await wait(10_000);
  notify();
  expect(world.found).toBe(0);
  expect(await wait(5)).toBeLessThan(6);
  const start = runtime.monotonic();
  world.version++;
  await wait(1_000);
  expect(world.found).toBe(1);
  expect(runtime.monotonic() - start).toBeLessThanOrEqual(4);
});

test("notifications of this connection's own commits cause no burst of checks", async () => {
  const { foreign, wait, notify } = setup();
  foreign.check();
  await wait(10_000);
  foreign.wrote();
  foreign.stored();
  notify();
  expect(foreign.every()).toBe(probe);
  expect(await wait(1_000)).toBeLessThan(10);
});

test("a commit of which nothing was told ends the watching, and the store is checked as without it", async () => {
  const { foreign, wait, world } = setup();
  foreign.check();
  await wait(10_000);
  world.version++;
  await wait(1_000);
  expect(world.found).toBe(1);
  await wait(1_000);
  expect(world.unwatched).toBe(1);
  expect(await wait(60_000)).toBeGreaterThan(2_000);
  expect(world.watched).toHaveLength(1);
});

test("a write of its own of which nothing is told ends the watching before a foreign one was late", async () => {
  const { foreign, wait, world } = setup();
  foreign.check();
  await wait(10_000);
  foreign.stored();
  await wait(1_000);
  expect([world.unwatched, world.found]).toEqual([1, 0]);
});

test("a notification that comes late, but within its grace, keeps the watching", async () => {
  const { foreign, wait, world, notify } = setup();
  foreign.check();
  await wait(10_000);
  foreign.stored();
  await wait(50);
  notify();
  await wait(60_000);
  expect(world.unwatched).toBe(0);
});

test("a watch that fails leaves the checks as they are without it", async () => {
  const { foreign, wait, world, fail } = setup();
  foreign.check();
  fail();
  expect(await wait(60_000)).toBeGreaterThan(2_000);
  expect([world.watched.length, world.unwatched]).toEqual([1, 1]);
});

test("the log of a file that was opened anew is watched anew", () => {
  const { foreign, world } = setup();
  foreign.check();
  world.opened++;
  foreign.check();
  foreign.check();
  expect([world.watched.length, world.unwatched]).toEqual([2, 1]);
});

test("a file that another call opened anew is found to be another one, though its version is the same number", () => {
  const { foreign, world } = setup();
  foreign.check();
  expect([foreign.check(), foreign.replaced]).toEqual([false, false]);
  world.opened++;
  expect([foreign.check(), foreign.replaced]).toEqual([true, true]);
  expect([foreign.check(), foreign.replaced]).toEqual([false, false]);
});

test("a second after no call waits any more the watching ends, and begins with the next check", async () => {
  const { foreign, runtime, world, notify } = setup();
  foreign.check();
  world.waits = false;
  notify();
  expect(world.unwatched).toBe(0);
  await runtime.advance(1_500);
  notify();
  expect(world.unwatched).toBe(1);
  foreign.check();
  expect(world.watched).toHaveLength(2);
});

test("the end ends the watching", () => {
  const { foreign, world } = setup();
  foreign.check();
  foreign.close();
  expect(world.unwatched).toBe(1);
});

test("a file that is not there is told as one that cannot be watched, at once or as a failure, and nothing throws", async () => {
  const watched = new Promise<string>((resolve) => {
    const end = watchFile(`${newFile()}-wal`, () => resolve("changed"), () => resolve("failed"));
    if (end === undefined) resolve("failed");
  });
  expect(await watched).toBe("failed");
});

test("a write to a log is told of, until the watching ends", async () => {
  const path = newFile();
  const database = openFile(path);
  database.exec("PRAGMA journal_mode = WAL; CREATE TABLE one (a)");
  let told = (): void => {};
  const end = watchFile(`${path}-wal`, () => told(), () => {});
  onTestFinished(() => end?.());
  const change = new Promise<void>((resolve) => told = resolve);
  database.exec("INSERT INTO one VALUES (1)");
  await change;
});
