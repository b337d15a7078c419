import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import { connect } from "../../../src/connect.ts";
import { sqlite } from "../../../src/transports/sqlite/mod.ts";
import { testByClock } from "../../web/support/real_clock.ts";
import { call, connection, doneOf, folder, job, newFile, now, open, rejection } from "./support.ts";

/** For what other timers do within 200 ms. */
const withTurns = testByClock(50);

test("a missing folder is told by every call, and mended by making it", async () => {
  const parent = join(folder(), "not", "there");
  const path = join(parent, "jobs.db");
  const transport = open({ path });
  const wanted = {
    name: "TransportError",
    code: "TRANSPORT_UNAVAILABLE",
    message: expect.stringContaining(`'${path}' as its folder is not there`),
  };
  expect(await rejection(transport.push([job()], call))).toMatchObject(wanted);
  expect(await rejection(transport.reserve(["q"], { ...now, wait: 60_000 }))).toMatchObject(wanted);
  expect(await rejection(connect(`sqlite:${path}`))).toMatchObject(wanted);
  mkdirSync(parent, { recursive: true });
  expect(await transport.push([job()], call)).toEqual(["stored"]);
});

test("a folder in the place of the file is told", async () => {
  const path = folder();
  expect(await rejection(connect(`sqlite:${path}`))).toMatchObject({
    code: "TRANSPORT_UNAVAILABLE",
    message: expect.stringContaining(`'${path}' as it is a folder`),
  });
});

test("a file that is no database is refused as corrupt, and left as it is", async () => {
  const path = newFile();
  writeFileSync(path, "no database at all ".repeat(500));
  const wanted = { code: "TRANSPORT_CORRUPT", message: expect.stringContaining(path) };
  expect(await rejection(open({ path }).push([job()], call))).toMatchObject(wanted);
  expect(await rejection(connect(`sqlite:${path}`))).toMatchObject(wanted);
});

test("a file that is deleted while it is open is told once, made anew by the first, and all go on with the same", async () => {
  const path = newFile();
  const [first, second] = [open({ path }), open({ path })];
  await first.push([job()], call);
  await second.push([job()], call);
  for (const file of [path, `${path}-wal`, `${path}-shm`]) rmSync(file, { force: true });
  const told = {
    code: "TRANSPORT_UNAVAILABLE",
    message: expect.stringContaining("was moved or deleted") as string,
  };
  for (const [transport, id] of [[first, "1"], [second, "2"]] as const) {
    expect(await rejection(transport.push([job({ id })], call))).toMatchObject(told);
    expect(await transport.push([job({ id })], call)).toEqual(["stored"]);
  }
  const deliveries = await open({ path }).reserve(["q"], now);
  expect(deliveries.map(({ id }) => id)).toEqual(["1", "2"]);
  expect(await first.settle(deliveries.map(doneOf), call)).toEqual(["settled", "settled"]);
});

test("a reserve that waits is told that another file stands in the place of its own, and the next finds what is there", async () => {
  const path = newFile();
  const waiting = open({ path });
  const told = rejection(waiting.reserve(["q"], { ...now, wait: 60_000 }));
  await waiting.push([job({ queue: "other" })], call);
  for (const file of [path, `${path}-wal`, `${path}-shm`]) rmSync(file, { force: true });
  await open({ path }).push([job({ id: "1" })], call);
  expect(await told).toMatchObject({ code: "TRANSPORT_UNAVAILABLE" });
  expect(await waiting.reserve(["q"], now)).toMatchObject([{ id: "1" }]);
});

test("a client that is closed is refused as it is handed over, and told by each call when it is closed later", async () => {
  const closed = new DatabaseSync(":memory:");
  closed.close();
  expect(() => sqlite({ client: closed })).toThrow("'client' must be a connection that is open");
  const client = new DatabaseSync(":memory:");
  const transport = open({ client });
  expect(await transport.push([job()], call)).toEqual(["stored"]);
  client.close();
  expect(await rejection(transport.push([job()], call))).toMatchObject({ code: "TRANSPORT_UNAVAILABLE" });
  expect(await rejection(transport.reserve(["q"], now))).toMatchObject({ code: "TRANSPORT_UNAVAILABLE" });
});

test("a database whose pages were overwritten is refused as corrupt", async () => {
  const path = newFile();
  const first = open({ path });
  await first.push(Array.from({ length: 200 }, () => job()), call);
  await first[Symbol.asyncDispose]();
  const script = `dd if=/dev/zero of="$0" bs=1 seek=100 count=30000 conv=notrunc 2>/dev/null`;
  execFileSync("sh", ["-c", script, path]);
  expect(await rejection(open({ path }).push([job()], call))).toMatchObject({ code: "TRANSPORT_CORRUPT" });
});

test("a read-only database shows what it has and stores nothing", async () => {
  const path = newFile();
  const writer = open({ path });
  await writer.push([job({ id: "1" })], call);
  const reader = open({ path: `file:${path}?mode=ro` });
  expect(await reader.info("q", call)).toMatchObject({ waiting: 1 });
  const wanted = {
    name: "TransportError",
    code: "TRANSPORT_READ_ONLY",
    message: expect.stringContaining(path),
  };
  expect(await rejection(reader.push([job()], call))).toMatchObject(wanted);
  expect(await rejection(reader.reserve(["q"], now))).toMatchObject(wanted);
  expect(await writer.info("q", call)).toMatchObject({ waiting: 1 });
});

withTurns(
  "a database that others keep locked rejects when the deadline is over, not before, and works afterwards",
  async () => {
    const path = newFile();
    const transport = open({ path });
    await transport.push([job({ id: "1" })], call);
    const other = connection(path);
    other.exec("BEGIN IMMEDIATE");
    const begun = performance.now();
    let ticks = 0;
    const timer = setInterval(() => ticks++, 5);
    const refused = [
      transport.push([job()], { deadline: 200 }),
      transport.reserve(["q"], { ...now, deadline: 200 }),
      transport.remove("q", "waiting", "all", { deadline: 200 }),
    ];
    for (const error of await Promise.all(refused.map(rejection))) {
      expect(error).toMatchObject({
        name: "TransportBusy",
        code: "TRANSPORT_BUSY",
        message: expect.stringContaining(path),
      });
    }
    clearInterval(timer);
    expect(performance.now() - begun).toBeGreaterThanOrEqual(199);
    // A thread that waits by itself has none, or one at its end.
    expect(ticks, "other timers went on").toBeGreaterThan(1);
    expect(await transport.info("q", call), "reads need no lock").toMatchObject({ waiting: 1 });
    const patient = transport.push([job()], call);
    other.exec("COMMIT");
    expect(await patient).toEqual(["stored"]);
  },
);

test("a call that waits for a lock ends with its signal", async () => {
  const path = newFile();
  const transport = open({ path });
  await transport.queues(call);
  connection(path).exec("BEGIN IMMEDIATE");
  const controller = new AbortController();
  const pushed = transport.push([job()], { ...call, signal: controller.signal });
  const reason = new Error("enough");
  controller.abort(reason);
  expect(await rejection(pushed)).toBe(reason);
});

test("a database at its limit refuses pushes, still settles, and goes on when there is space", async () => {
  const path = newFile();
  const transport = open({ path, maxBytes: 1024 * 1024 });
  const payload = new Uint8Array(10_000);
  let stored = 0;
  let error: unknown;
  while (error === undefined) {
    await transport.push([job({ payload })], call).then(() => stored++, (reason: unknown) => error = reason);
  }
  expect(error).toMatchObject({
    name: "TransportFull",
    code: "TRANSPORT_FULL",
    message: expect.stringContaining(path),
  });
  expect(await transport.info("q", call)).toMatchObject({ waiting: stored });
  const batch = [job({ payload }), job({ payload }), job({ payload })];
  expect(await rejection(transport.push(batch, call))).toMatchObject({ code: "TRANSPORT_FULL" });
  const [first, second, ...others] = await transport.reserve(["q"], now);
  if (first === undefined || second === undefined) throw new Error("Two deliveries were wanted");
  const buried = {
    queue: "q",
    token: first.token,
    to: "failed",
    meta: "x".repeat(2_000),
    reason: "r",
  } as const;
  expect(await transport.settle([buried, { ...second, to: "release" }], call)).toEqual([
    "settled",
    "settled",
  ]);
  await transport.settle(others.map(doneOf), call);
  expect(await transport.push(batch, call)).toEqual(["stored", "stored", "stored"]);
  const rest = await transport.info("q", call);
  expect([rest.failed, rest.waiting + rest.reserved]).toEqual([1, stored - 1 - others.length + 3]);
});

test("a full disk refuses pushes, loses nothing, and goes on when there is space", async () => {
  const disk = folder();
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", disk]);
  onTestFinished(() => void execFileSync("umount", ["-l", disk]));
  const path = join(disk, "jobs.db");
  const ballast = join(disk, "ballast");
  writeFileSync(ballast, new Uint8Array(2 * 1024 * 1024));
  const transport = open({ path });
  const payload = new Uint8Array(20_000);
  const stored: string[] = [];
  let error: unknown;
  while (error === undefined) {
    const next = job({ payload });
    await transport.push([next], call).then(() => stored.push(next.id), (reason: unknown) => error = reason);
  }
  expect(error).toMatchObject({ name: "TransportFull", message: expect.stringContaining(path) });
  expect(await transport.info("q", call)).toMatchObject({ waiting: stored.length });
  rmSync(ballast);
  expect(await transport.push([job({ id: "after", payload })], call)).toEqual(["stored"]);
  const ids: string[] = [];
  for (
    let found = await transport.reserve(["q"], now);
    found.length > 0;
    found = await transport.reserve(["q"], now)
  ) {
    ids.push(...found.map(({ id }) => id));
    await transport.settle(found.map(doneOf), call);
  }
  expect(ids).toEqual([...stored, "after"]);
});

test("calls of one tick share no fate", async () => {
  const path = newFile();
  const transport = open({ path });
  await transport.push([job({ id: "x", idWindow: 0 })], call);
  const bad = { ...job(), meta: Symbol("no text") as unknown as string };
  const results = await Promise.allSettled([
    transport.push([job({ id: "1" })], call),
    transport.push([bad], call),
    transport.push([job({ id: "x", idWindow: 0 }), job({ id: "2" })], call),
    transport.reserve(["q"], now),
  ]);
  expect(results[1]).toMatchObject({ status: "fulfilled", value: [expect.any(TypeError)] });
  expect(results.map(({ status }) => status)).toEqual(Array.from({ length: 4 }, () => "fulfilled"));
  expect(await transport.info("q", call)).toMatchObject({ reserved: 3, waiting: 0 });
});
