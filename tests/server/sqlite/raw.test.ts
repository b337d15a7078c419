import { expect, test } from "vitest";
import { call, connection, doneOf, job, newFile, now, open } from "./support.ts";

const decoder = new TextDecoder();

test("a raw entry wakes who waits, and comes with its row's number, its queue's name and defaults", async () => {
  const path = newFile();
  const transport = open({ path });
  await transport.queues(call);
  const waiting = transport.reserve(["q"], { ...now, wait: 10_000 });
  connection(path).prepare("INSERT INTO relevo_jobs (queue, payload) VALUES (?, ?)").run("q", '{"é":1}');
  const [delivery] = await waiting;
  expect(delivery).toMatchObject({ queue: "q", id: "#1", name: "q", meta: "", lost: 0, reset: false });
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
  const [entry] = await transport.get("q", ["#2"], call);
  expect(entry).toMatchObject({
    channel: "delayed",
    id: "#2",
    time: 9e14,
    payload: Uint8Array.of(0, 255),
    size: 2,
  });
});

test("no two raw entries of a store have the same id, though each is done before the next comes", async () => {
  const path = newFile();
  const transport = open({ path });
  await transport.queues(call);
  const database = connection(path);
  const ids: string[] = [];
  for (let n = 0; n < 3; n++) {
    database.exec("INSERT INTO relevo_jobs (queue, payload) VALUES ('q', '1')");
    const [delivery] = await transport.reserve(["q"], now);
    if (delivery === undefined) throw new Error("A delivery was wanted");
    ids.push(delivery.id);
    if (n === 1) await transport.push([job({ queue: "other" })], call);
    await transport.settle([doneOf(delivery)], call);
  }
  expect(ids).toEqual(["#1", "#2", "#4"]);
});

test("a raw entry of a topic has one id in the queues of all its groups, and no other entry has it", async () => {
  const path = newFile();
  const transport = open({ path });
  await transport.topics?.bind("t", "b", call);
  await transport.topics?.bind("t", "a", call);
  const database = connection(path);
  for (let n = 0; n < 2; n++) database.exec("INSERT INTO relevo_jobs (queue, payload) VALUES ('t@', '1')");
  for (const queue of ["t@a", "t@b"]) {
    const deliveries = await transport.reserve([queue], now);
    expect(deliveries.map(({ id }) => id)).toEqual(["#1", "#3"]);
  }
});

test("a raw entry whose due time is over is due now, and behind what waits", async () => {
  const path = newFile();
  const transport = open({ path });
  await transport.push([job({ id: "first" })], call);
  const before = Date.now();
  // SQLite's clock and this one's may round the same millisecond differently.
  while (Date.now() < before + 2) await transport.info("q", call);
  connection(path).exec("INSERT INTO relevo_jobs (queue, payload, due) VALUES ('q', '1', 1000)");
  const [first, second] = await transport.reserve(["q"], now);
  expect([first?.id, second?.id]).toEqual(["first", "#2"]);
  expect(second?.due).toBeGreaterThanOrEqual(before - 1);
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

test.each([
  ["a payload beyond the numbers of JavaScript", "payload = 9223372036854775807"],
  ["a payload that is a real number", "payload = 0.5"],
  ["losses beyond counting", "lost = 9223372036854775807"],
  ["losses that are a text", "lost = 'many'"],
  ["a reset that is a text", "reset = 'yes'"],
  ["a due time beyond the calendar", "due = 9223372036854775807"],
  ["a due time that is a text", "due = 'soon'"],
  ["a due time that is bytes", "due = x'00ff'"],
  ["an id that is bytes", "id = x'ff00'"],
  ["an id that is no UTF-8", "id = CAST(x'ff' AS TEXT)"],
  ["metadata that are bytes", "meta = x'ff'"],
  ["a name that is a number", "name = 5"],
  ["a time beyond the calendar", "time = 9223372036854775807"],
  ["a time that is a text", "time = 'soon'"],
])("a row with %s costs no other row of its queue anything", async (_, change) => {
  const path = newFile();
  const transport = open({ path });
  await transport.push([job({ id: "bad" }), job({ id: "good" }), job({ id: "late", delay: 60_000 })], call);
  connection(path).exec(`UPDATE relevo_entries SET ${change} WHERE id = 'bad'`);
  expect(await transport.info("q", call)).toMatchObject({ waiting: 2, delayed: 1 });
  expect((await transport.list("q", "waiting", { limit: 9, preview: 9 }, call)).entries).toHaveLength(2);
  const deliveries = await transport.reserve(["q"], now);
  expect(deliveries.map(({ id }) => id)).toContain("good");
  expect(deliveries).toHaveLength(2);
  for (const { lost, due } of deliveries) expect([lost, due].every(Number.isSafeInteger)).toBe(true);
  const [first, ...rest] = deliveries;
  if (first === undefined) throw new Error("A delivery was wanted");
  const buried = { queue: "q", token: first.token, to: "failed", meta: "m", reason: "r" } as const;
  expect(await transport.settle([buried, ...rest.map(doneOf)], call)).toEqual(["settled", "settled"]);
  expect(await transport.reload("q", "failed", "all", { ...call, reset: true })).toMatchObject({
    reloaded: 1,
  });
  expect(await transport.remove("q", "waiting", "all", call)).toBe(1);
  expect(await transport.info("q", call)).toMatchObject({ waiting: 0, delayed: 1, reserved: 0, failed: 0 });
});

test("rows under names that no queue can have are in none, and no operator's call fails for them", async () => {
  const path = newFile();
  const transport = open({ path });
  await transport.push([job({ queue: "q" })], call);
  const insert = connection(path).prepare("INSERT INTO relevo_jobs (queue, payload) VALUES (?, '1')");
  for (const queue of ["a\u0001\n", "a@b@c", "q".repeat(300), "a@"]) insert.run(queue);
  const queues = await transport.queues(call);
  expect(queues).toEqual(["a@", "q"]);
  for (const queue of queues) expect(await transport.info(queue, call)).toMatchObject({ waiting: 1 });
});
