import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createRelay } from "../../../mod.ts";
import { checkHistory, createFakeRuntime } from "../../../src/testing/mod.ts";
import { sqlite } from "../../../src/transports/sqlite/mod.ts";
import { createRecorder, historyOf, type Written } from "../../web/simulation/recorder.ts";
import { free, running } from "../../web/support/kit.ts";
import { handleForMinutes } from "../support/minutes.ts";
import { runsOf } from "./support/ledger.ts";

const HOUR = 3_600_000;
const EACH = 12;
const queue = "work";

test("a clock stepped back by an hour delays or repeats runs, and loses none", async () => {
  const folder = mkdtempSync(join(tmpdir(), "relevo-clock-"));
  const runtime = createFakeRuntime();
  const written: Written[] = [];
  const recorder = createRecorder({
    process: "worker",
    now: () => runtime.monotonic(),
    write: (lines) => written.push(...lines),
  });
  const transport = recorder.transport(sqlite({ path: join(folder, "jobs.db"), runtime, probe: 1_000 }));
  const relay = createRelay({ jobs: { task: { schema: free<number>(), queue } }, transport, runtime });
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  relay.handle("task", recorder.handler(() => runtime.sleep(2_000)));

  async function dispatch(first: number, options: { readonly delay?: number } = {}): Promise<void> {
    const jobs = Array.from({ length: EACH }, (_, n) => ({
      name: "task" as const,
      payload: first + n,
      id: `job ${first + n}`,
      ...options,
    }));
    await Promise.all([relay.dispatchMany(jobs), runtime.advance(1)]);
  }

  await dispatch(0);
  await dispatch(EACH);
  await dispatch(2 * EACH, { delay: 5_000 });
  const work = running(relay, { concurrency: EACH });
  await runtime.advance(100);
  expect(recorder.held).toBe(EACH);
  runtime.step(-HOUR);
  await dispatch(3 * EACH);
  await runtime.advance(60_000);
  const soon = runsOf(historyOf(written)).ends.size;
  await runtime.advance(HOUR);
  const [info] = await Promise.all([relay.info(queue), runtime.advance(1)]);
  await Promise.all([work.abort(), runtime.advance(1)]);
  await Promise.all([relay.close(), runtime.advance(1)]);

  // What waited or ran, and what came afterwards, does not depend on the old times.
  expect(soon).toBeGreaterThanOrEqual(3 * EACH);
  expect(info).toEqual({ waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0 });
  expect(runsOf(historyOf(written)).ends.size).toBe(4 * EACH);
  expect(checkHistory(historyOf(written))).toEqual([]);
  expect(runtime.sleepers).toBe(0);
});

test("a clock set forward takes no lease from a process that holds it: its job runs once", async () => {
  const folder = mkdtempSync(join(tmpdir(), "relevo-clock-"));
  const runtime = createFakeRuntime();
  const transport = sqlite({ path: join(folder, "jobs.db"), runtime, probe: 1_000 });
  const relay = createRelay({ jobs: { task: { schema: free<number>(), queue } }, transport, runtime });
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const told = handleForMinutes(relay, runtime);
  await Promise.all([relay.dispatch("task", 1), relay.dispatch("task", 2), runtime.advance(1)]);
  const work = running(relay, { lease: 30_000 });
  await runtime.advance(1_000);
  for (const step of [HOUR, -HOUR, HOUR]) {
    runtime.step(step);
    // Another job wakes the worker, which then looks for what has come back.
    await Promise.all([relay.dispatch("task", 3), runtime.advance(2_000)]);
  }
  await runtime.advance(120_000);
  await Promise.all([work.abort(), runtime.advance(1)]);
  await Promise.all([relay.close(), runtime.advance(1)]);

  expect(told()).toEqual({ runs: 5, completed: 5, lost: 0 });
  expect(runtime.sleepers).toBe(0);
});
