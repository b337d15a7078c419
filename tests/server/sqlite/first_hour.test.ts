/** What a first program on SQLite runs into: paths, permissions, transactions, a log that grows, a file that goes. */
import { mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import { createRelay } from "../../../mod.ts";
import { inRepository } from "../../../scripts/lib/paths.mjs";
import { run } from "../../../scripts/lib/run.mjs";
import { binaryOf } from "../../../scripts/lib/runtimes.mjs";
import { connect } from "../../../src/connect.ts";
import { systemRuntime } from "../../../src/runtime.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { redis } from "../../../src/transports/redis/mod.ts";
import { sqlite } from "../../../src/transports/sqlite/mod.ts";
import { free } from "../../web/support/kit.ts";
import { spawnScript } from "../support/spawn.ts";

const call = { deadline: 60_000 };
const job = (payload = new Uint8Array()) => ({
  queue: "q",
  id: crypto.randomUUID(),
  name: "n",
  payload,
  meta: "",
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "relevo-hour-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("adapters that are given a text or a URL show how it is written, without repeating it", async () => {
  expect(() => sqlite("x.db" as never)).toThrow('write sqlite({ path: "x.db" })');
  expect(() => nats("nats://u:s3cret@x" as never)).toThrow('write nats({ servers: "nats://host:4222" })');
  expect(() => redis("redis://u:s3cret@x" as never)).toThrow('write redis({ url: "redis://host:6379" })');
  expect(() => redis(new URL("redis://u:s3cret@x") as never)).toThrow("write redis(");
  await expect(connect(new URL("sqlite:x.db") as never)).rejects.toThrow("give its text, connect(url.href)");
  await expect(connect({ url: "x" } as never)).rejects.toThrow(
    'is an object, as in connect("sqlite:jobs.db")',
  );
});

test("a relative path means where the process was when the transport was made", async () => {
  const [first, second] = [newFolder(), newFolder()];
  await using child = spawnScript(new URL("fixtures/relative.ts", import.meta.url), [second], { cwd: first });
  expect(await child.next()).toBe("stored");
  expect(statSync(join(first, "jobs.db")).isFile()).toBe(true);
  expect(statSync(join(second, "jobs.db"), { throwIfNoEntry: false })).toBeUndefined();
});

test("a transaction that read before others wrote is told to roll back and to begin IMMEDIATE", async () => {
  const path = join(newFolder(), "jobs.db");
  const transport = sqlite({ path });
  await transport.push([job()], call);
  const mine = new DatabaseSync(path);
  mine.exec("BEGIN");
  mine.prepare("SELECT count(*) FROM relevo_entries").get();
  await transport.push([job()], call);
  const pushed = transport.transactions?.push(mine, [job()], call);
  await expect(pushed).rejects.toMatchObject({
    code: "TRANSPORT_BUSY",
    message: expect.stringContaining("roll it back, and begin it with BEGIN IMMEDIATE") as string,
  });
  mine.close();
  await transport[Symbol.asyncDispose]();
});

test("a worker whose file is moved away is told by a connection event, and goes on with the file that is there", async () => {
  const folder = newFolder();
  const path = join(folder, "jobs.db");
  const relay = createRelay({ jobs: { n: free<number>() }, transport: sqlite({ path }), log: false });
  const stop = new AbortController();
  const states: unknown[] = [];
  let back = (): void => {};
  const isBack = new Promise<void>((resolve) => back = resolve);
  relay.events.addEventListener("connection", ({ detail }) => {
    states.push([detail.state, detail.error?.message.includes("was moved or deleted") ?? false]);
    if (states.length === 2) back();
  });
  const handled: number[] = [];
  relay.handle("n", (n) => {
    handled.push(n);
    if (n === 1) {
      for (const end of ["", "-wal", "-shm"]) renameSync(`${path}${end}`, join(folder, `moved${end}`));
    } else stop.abort();
  });
  await relay.dispatch("n", 1);
  const running = relay.run({ signal: stop.signal });
  await isBack;
  expect(states).toEqual([["down", true], ["up", false]]);
  await relay.dispatch("n", 2).catch(() => relay.dispatch("n", 2));
  await running;
  expect(handled).toEqual([1, 2]);
  await relay.close();
});

test("the log is cut to a few megabytes once nothing was stored for a while", async () => {
  const path = join(newFolder(), "jobs.db");
  const real = systemRuntime();
  let ahead = 0;
  const runtime = { ...real, monotonic: () => real.monotonic() + ahead };
  const transport = sqlite({ path, runtime });
  // A reader that has begun keeps the log from being emptied while it grows.
  await transport.queues(call);
  const reader = new DatabaseSync(path);
  reader.exec("BEGIN");
  reader.prepare("SELECT count(*) FROM relevo_entries").get();
  for (let n = 0; n < 12; n++) await transport.push([job(new Uint8Array(1_000_000))], call);
  const size = (): number => statSync(`${path}-wal`).size;
  expect(size()).toBeGreaterThan(8_000_000);
  reader.close();
  const abort = new AbortController();
  const waiting = transport.reserve(["other"], {
    ...call,
    limit: 1,
    slots: 1,
    lease: 1_000,
    wait: 60_000,
    signal: abort.signal,
  });
  ahead = 10_000;
  await expect.poll(size).toBeLessThan(4_200_000);
  abort.abort(new Error("over"));
  await expect(waiting).rejects.toThrow("over");
  await transport[Symbol.asyncDispose]();
});

test("a URL of connect is refused as a path, and no file bears its name", () => {
  expect(() => sqlite({ path: "sqlite:jobs.db" })).toThrow(
    "Cannot use SQLite as 'path' must be a path: current value is a URL, leave 'sqlite:' out or give it to connect(url)",
  );
});

test("Deno without a permission is told which to give", async () => {
  const deno = binaryOf("deno");
  if (deno === undefined) throw new Error("Deno is wanted");
  const code = `import { connect } from ${JSON.stringify(inRepository("src/connect.ts"))};
for (const url of ["sqlite:jobs.db", "redis:", "nats://127.0.0.1:1"]) {
  await connect(url).catch(({ code, message }) => console.log(code, message));
}`;
  const folder = newFolder();
  writeFileSync(join(folder, "program.ts"), code);
  const flags = ["run", "--no-prompt", "--quiet", `--allow-read=${inRepository("")}`];
  const { output } = await run(
    deno,
    [...flags, "--config", inRepository("deno.json"), join(folder, "program.ts")],
    { timeout: 110_000, env: { ...process.env, DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" }, cwd: folder },
  );
  const lines = output.split("\n").filter((line) => line.startsWith("TRANSPORT_"));
  expect(lines, output).toHaveLength(3);
  for (const line of lines) {
    expect(line).toMatch(/^TRANSPORT_UNAVAILABLE .*Deno was not allowed to \(run it with --allow-/);
  }
  expect(lines[0]).toContain("--allow-read --allow-write");
}, 120_000);
