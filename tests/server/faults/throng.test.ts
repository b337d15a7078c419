import { expect, test } from "vitest";
import { drained, openScene } from "./support/scene.ts";

const JOBS = 10_000;
const PRODUCERS = 2;

test("two processes with six workers on one file handle 10,000 jobs, each once, and the counts are exact", async () => {
  const scene = openScene();
  await scene.relay.queues();
  const workers = [scene.worker({ workers: 3 }), scene.worker({ workers: 3 })];
  // One that takes long to start would find little left.
  await Promise.all(workers.map((worker) => worker.told("ready")));
  const share = JOBS / PRODUCERS;
  const producers = Array.from(
    { length: PRODUCERS },
    (_, n) => scene.producer({ from: n * share, count: share, bulk: 100, width: 4 }),
  );
  // Held in the middle of their work, so that a list of pages and the counts speak of one moment.
  await Promise.all(workers.map((worker) => worker.told("started", ({ count }) => (count ?? 0) >= 500)));
  for (const { child } of [...workers, ...producers]) child.kill("SIGSTOP");
  await scene.note();
  for (const { child } of [...workers, ...producers]) child.kill("SIGCONT");

  await Promise.all(producers.map((producer) => producer.rest()));
  await scene.counts(drained);
  await Promise.all(workers.map((worker) => worker.stop()));
  const { runs, left, history } = await scene.judge();

  expect(left).toEqual({ waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0 });
  expect(runs.starts.size).toBe(JOBS);
  expect(runs.repeated).toBe(0);
  const settled = history.filter((line) =>
    line.op === "settle" && line.to === "done" && line.state === "settled"
  );
  expect(settled.length).toBe(JOBS);
  const processes = new Set(history.filter(({ op }) => op === "start").map((line) => line.process));
  expect(processes.size).toBe(6);
});
