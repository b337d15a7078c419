import { expect, test } from "vitest";
import { spawnScript } from "../support/spawn.ts";
import { call, connection, newFile, now, open } from "./support.ts";

const push = new URL("../fixtures/sqlite-push.ts", import.meta.url);
const work = new URL("../fixtures/sqlite-work.ts", import.meta.url);

test("a process killed in the middle of its batches loses nothing that it was told is stored", async () => {
  const path = newFile();
  for (let round = 0; round < 3; round++) {
    await using child = spawnScript(push, [path, `r${round}`, "1000000", "50"]);
    await child.until((line) => line === `stored ${(round + 1) * 500}`);
    child.kill("SIGKILL");
    await child.exited;
    let told = (round + 1) * 500;
    for await (const line of child.lines) told = Number(line.split(" ")[1]);
    const database = connection(path);
    const { n } =
      database.prepare("SELECT count(*) AS n FROM relevo_jobs WHERE id LIKE ?").get(`r${round}-%`) ?? {};
    expect(n).toBeGreaterThanOrEqual(told);
    expect(Number(n) % 50, "no half of a batch").toBe(0);
  }
  const { waiting } = await open({ path }).info("q", call);
  expect(waiting).toBe(connection(path).prepare("SELECT count(*) AS n FROM relevo_jobs").get()?.n);
});

test("what a killed worker held comes back, and what it settled stays settled", async () => {
  const path = newFile();
  const transport = open({ path });
  const total = 2_000;
  const ids = Array.from({ length: total }, (_, n) => `${n}`);
  const job = { queue: "q", name: "n", payload: new Uint8Array(10), meta: "{}" };
  await transport.push(ids.map((id) => ({ ...job, id })), call);
  const settled = new Set<string>();
  const note = (line: string): void => line.split(" ").forEach((one) => settled.add(one));
  for (let kills = 0; kills < 3; kills++) {
    await using child = spawnScript(work, [path, "500"]);
    for (let n = 0; n < 5; n++) note(await child.next());
    child.kill("SIGKILL");
    await child.exited;
    for await (const line of child.lines) note(line);
  }
  const seen = new Set([...settled].map((one) => one.slice(2)));
  expect(seen.size).toBe(settled.size);
  const rest = new Set<string>();
  for (let counts = await transport.info("q", call); counts.waiting + counts.reserved > 0;) {
    const deliveries = await transport.reserve(["q"], { ...now, wait: 1_000 });
    for (const { id } of deliveries) rest.add(id);
    await transport.settle(
      deliveries.map(({ queue, token }) => ({ queue, token, to: "done" as const })),
      call,
    );
    counts = await transport.info("q", call);
  }
  expect([...seen].filter((id) => rest.has(id)), "settled and yet delivered").toEqual([]);
  const { failed } = await transport.info("q", call);
  const dead = connection(path).prepare("SELECT count(*) AS n FROM relevo_jobs WHERE channel = 'failed'")
    .get()?.n;
  expect(failed).toBe(dead);
  expect(failed).toBeGreaterThanOrEqual([...settled].filter((one) => one.startsWith("1:")).length);
  // What a worker settled just before it was killed it could not tell: gone or dead, but never lost from the counts.
  expect(seen.size + rest.size).toBeGreaterThanOrEqual(total - 3 * 20);
});
