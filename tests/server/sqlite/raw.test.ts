import { expect, test } from "vitest";
import { call, connection, job, newFile, now, open } from "./support.ts";

const decoder = new TextDecoder();

test("a raw entry wakes who waits, and comes with its row's number, its queue's name and defaults", async () => {
  const path = newFile();
  const transport = open({ path });
  await transport.queues(call);
  const waiting = transport.reserve(["q"], { ...now, wait: 10_000 });
  connection(path).prepare("INSERT INTO relevo_jobs (queue, payload) VALUES (?, ?)").run("q", '{"é":1}');
  const [delivery] = await waiting;
  expect(delivery).toMatchObject({ queue: "q", id: "1", name: "q", meta: "", lost: 0, reset: false });
  expect(decoder.decode(delivery?.payload)).toBe('{"é":1}');
});

test("a raw entry may say its id, name and due time, and be of any type", async () => {
  const path = newFile();
  const transport = open({ path });
  await transport.queues(call);
  const database = connection(path);
  const insert = database.prepare(
    "INSERT INTO relevo_jobs (queue, payload, id, name, due) VALUES (?, ?, ?, ?, ?)",
  );
  insert.run("q", 42, "mine", "order.paid", 1_000);
  insert.run("q", new Uint8Array([0, 255]), null, null, 9e14);
  insert.run("q", null, 7, null, null);
  expect(await transport.info("q", call)).toMatchObject({ waiting: 2, delayed: 1 });
  const deliveries = await transport.reserve(["q"], now);
  expect(deliveries.map(({ id, name, payload }) => [id, name, decoder.decode(payload)])).toEqual([
    ["mine", "order.paid", "42"],
    ["7", "q", ""],
  ]);
  const [entry] = await transport.get("q", ["2"], call);
  expect(entry).toMatchObject({
    channel: "delayed",
    id: "2",
    time: 9e14,
    payload: Uint8Array.of(0, 255),
    size: 2,
  });
});

test("a raw entry without a usable queue is refused", async () => {
  const path = newFile();
  await open({ path }).queues(call);
  const database = connection(path);
  for (const queue of ["NULL", "''", "x'00'", "5"]) {
    expect(() => database.exec(`INSERT INTO relevo_jobs (queue, payload) VALUES (${queue}, 'x')`)).toThrow(
      /queue/,
    );
  }
});

test("a raw entry whose due time is no number is refused, as a date would be taken for its year", async () => {
  const path = newFile();
  const transport = open({ path });
  await transport.queues(call);
  const database = connection(path);
  const insert = (due: string): void =>
    database.exec(`INSERT INTO relevo_jobs (queue, payload, due) VALUES ('q', 'x', ${due})`);
  for (const due of ["'tomorrow'", "datetime('now', '+1 hour')", "''", "x'31'"]) {
    expect(() => insert(due)).toThrow(/relevo_jobs\.due must be milliseconds since the epoch/);
  }
  expect(await transport.info("q", call)).toMatchObject({ waiting: 0, delayed: 0 });
  for (const due of ["NULL", "9e14", "900000000000000", "'900000000000000'"]) insert(due);
  expect(await transport.info("q", call)).toMatchObject({ waiting: 1, delayed: 3 });
});

test("jobs removed through the view leave exact counts, and nothing else can be changed through it", async () => {
  const path = newFile();
  const transport = open({ path });
  await transport.push([
    job({ id: "1" }),
    job({ id: "2" }),
    job({ id: "3", delay: 60_000 }),
    job({ id: "4" }),
  ], call);
  const [first] = await transport.reserve(["q"], { ...now, limit: 1 });
  if (first === undefined) throw new Error("A delivery was wanted");
  await transport.settle([{ ...first, to: "failed", meta: "m", reason: "r" }], call);
  const database = connection(path);
  expect(database.prepare("SELECT channel FROM relevo_jobs ORDER BY id").all().map(({ channel }) => channel))
    .toEqual(["failed", "waiting", "delayed", "waiting"]);
  database.exec("DELETE FROM relevo_jobs WHERE id IN ('1', '2', '3')");
  expect(await transport.info("q", call)).toMatchObject({
    waiting: 1,
    delayed: 0,
    reserved: 0,
    failed: 0,
    timeout: 0,
  });
  expect(() => database.exec("UPDATE relevo_jobs SET state = 5")).toThrow(/view/);
});
