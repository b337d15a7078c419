/** A full SQLite store: what frees space works, and nothing needs a restart. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmdirSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { fillAndEmpty } from "../support/full.ts";
import { call, doneOf, folder, job, newFile, now, open, rejection } from "./support.ts";

const LIMIT = 2 * 1024 * 1024;
const PATIENCE = 240_000;

test(
  "a file that is full while everything fails is emptied when all succeeds, by the worker that was there",
  async () => {
    const path = newFile();
    expect(await fillAndEmpty(open({ path, maxBytes: LIMIT }))).toBeGreaterThan(100);
    expect(statSync(path).size).toBeLessThan(1.5 * LIMIT);
  },
  PATIENCE,
);

test("a database in memory that is full while everything fails is emptied when all succeeds", async () => {
  expect(await fillAndEmpty(open({ path: ":memory:", maxBytes: LIMIT }))).toBeGreaterThan(100);
}, PATIENCE);

/** Whether this process may mount a disk of its own: not in every container, and not as every user. */
function mayMount(): boolean {
  const probe = mkdtempSync(join(tmpdir(), "relevo-mount-"));
  const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", probe]);
  if (status === 0) execFileSync("umount", ["-l", probe]);
  rmdirSync(probe);
  return status === 0;
}

test.skipIf(!mayMount())(
  "a disk that is full while everything fails lets all be done when all succeeds, by the worker that was there",
  async () => {
    const disk = folder();
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", disk]);
    onTestFinished(() => void execFileSync("umount", ["-l", disk]));
    expect(await fillAndEmpty(open({ path: join(disk, "jobs.db") }))).toBeGreaterThan(100);
  },
  PATIENCE,
);

test.skipIf(!mayMount())(
  "a disk that others have filled lets leases come back, jobs be released and removed, page by page",
  async () => {
    const disk = folder();
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", disk]);
    onTestFinished(() => void execFileSync("umount", ["-l", disk]));
    const transport = open({ path: join(disk, "jobs.db") });
    await fillUp(transport, "x".repeat(7_000));
    const { waiting } = await transport.info("q", call);
    expect(waiting).toBeGreaterThan(500);
    const { bavail, bsize } = statfsSync(disk);
    writeFileSync(join(disk, "others"), new Uint8Array(bavail * bsize - 300_000));
    const queue = "q";
    // Leases that end together come back by a reserve of one job.
    let held = 0;
    while (held < 300) {
      held += (await transport.reserve([queue], { ...now, limit: 300, lease: 2_000 })).length;
    }
    const [back] = await transport.reserve([queue], { ...now, limit: 1, slots: 1, lease: 60_000 });
    expect(back).toBeDefined();
    await expect.poll(async () => {
      const came = await transport.reserve([queue], {
        ...now,
        limit: 1,
        slots: 1,
        lease: 60_000,
        wait: 2_000,
      });
      return came[0]?.lost;
    }, { timeout: PATIENCE }).toBe(1);
    // So do releases of many.
    const deliveries = await transport.reserve([queue], { ...now, limit: 200, slots: 200, lease: 60_000 });
    const releases = deliveries.map(({ token }) => ({ queue, token, to: "release" as const }));
    expect(await transport.settle(releases, call)).toEqual(releases.map(() => "settled"));
    const { waiting: rest } = await transport.info(queue, call);
    expect(await transport.remove(queue, "waiting", "all", call)).toBe(rest);
  },
  PATIENCE,
);

test("pushes never take what is kept for jobs to end, though the file has grown over its limit before", async () => {
  const path = newFile();
  const transport = open({ path, maxBytes: LIMIT });
  const payload = new Uint8Array(20_000);
  for (let n = 0; n < 3; n++) {
    let error: unknown;
    while (error === undefined) {
      await transport.push([job({ payload })], call).catch((thrown) => error = thrown);
    }
    expect(error).toMatchObject({ code: "TRANSPORT_FULL" });
    const deliveries = await transport.reserve(["q"], now);
    const [first, ...others] = deliveries;
    if (first === undefined) throw new Error("A delivery was wanted");
    const { queue, token } = first;
    const buried = { queue, token, to: "failed", meta: "x".repeat(20_000), reason: "r" } as const;
    expect(await transport.settle([buried, ...others.map(doneOf)], call)).toEqual(
      deliveries.map(() => "settled"),
    );
  }
});

test("of records that find no room those that are large are refused, and releases and ends are not", async () => {
  const path = newFile();
  const transport = open({ path, maxBytes: LIMIT });
  await fillUp(transport);
  const deliveries = await transport.reserve(["q"], now);
  const again = deliveries.slice(2).map(({ queue, token }) => ({
    queue,
    token,
    to: "again" as const,
    meta: "x".repeat(20_000),
    delay: 60_000,
  }));
  const answers = await transport.settle(again, call);
  expect(answers[0]).toBe("settled");
  expect(answers.at(-1)).toMatchObject({ name: "TransportFull", code: "TRANSPORT_FULL" });
  const rest = again.filter((_, n) => answers[n] !== "settled").map(({ queue, token }) => ({ queue, token }));
  expect(rest.length).toBeGreaterThan(10);
  const [one, two, ...others] = rest;
  if (one === undefined || two === undefined) throw new Error("Deliveries were wanted");
  expect(await transport.extend([{ ...two, ms: 90_000 }], call)).toEqual([{ state: "held" }]);
  const small = { ...one, to: "again" as const, meta: "x", delay: 60_000 };
  const ends = others.map((held) => ({ ...held, to: "release" as const }));
  expect(await transport.settle([small, { ...two, to: "done" }, ...ends], call)).toEqual(
    rest.map(() => "settled"),
  );
  expect(await rejection(transport.push([job()], call))).toMatchObject({ code: "TRANSPORT_FULL" });
});

/** Pushes until it is refused. */
async function fillUp(transport: ReturnType<typeof open>, meta = "", queue = "q"): Promise<void> {
  const payload = new Uint8Array(2_000);
  let error: unknown;
  while (error === undefined) {
    await transport.push(Array.from({ length: 10 }, () => job({ payload, meta, queue })), call).catch((
      thrown,
    ) => error = thrown);
  }
}
