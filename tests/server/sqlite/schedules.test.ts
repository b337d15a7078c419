/** Schedules whose rows another program spoilt: each is told once, and hides no other. */
import { expect, test } from "vitest";
import { createRelay, every } from "../../../mod.ts";
import { free, heard } from "../../web/support/kit.ts";
import { call, connection, newFile, open } from "./support.ts";

const jobs = { report: free<string>() };

test("rows that another program wrote or changed are told once each, are listed, and hide no other", async () => {
  const path = newFile();
  const transport = open({ path });
  const relay = createRelay({ jobs, transport, log: false });
  const ran: string[] = [];
  relay.handle("report", (payload) => void ran.push(payload));
  const start = Date.now() - 1_000;
  for (const key of ["good", "text", "blob", "payload", "tick", "late"]) {
    await relay.schedule("report", key, { key, start, when: every(3_600_000) });
  }
  const database = connection(path);
  const set = (key: string, column: string, value: string | number | Uint8Array): void =>
    void database.prepare(`UPDATE relevo_schedules SET ${column} = ? WHERE key = ?`).run(value, key);
  set("text", "text", "hello");
  set("blob", "text", Uint8Array.of(0, 255));
  set("payload", "payload", Uint8Array.of(255, 0));
  set("tick", "tick", "soon");
  set("late", "note", "not ours");
  database.prepare(
    "INSERT INTO relevo_schedules (queue, key, tick, paused, text, payload) VALUES (?, ?, ?, ?, ?, ?)",
  )
    .run("default", "theirs", start, 0, 5, "x");

  const errors = heard(relay.events, "error");
  expect(await relay.drain()).toMatchObject({ completed: 2 });
  expect(await relay.drain()).toMatchObject({ completed: 0 });
  expect(ran.toSorted()).toEqual(["good", "late"]);
  const told = errors.map(({ error }) => /schedule '(.*?)'/.exec(error.message)?.[1]);
  expect(told.toSorted()).toEqual(["blob", "payload", "text", "theirs"]);
  const { schedules } = await relay.schedules.list();
  expect(schedules.map(({ key }) => key)).toEqual([
    "blob",
    "good",
    "late",
    "payload",
    "text",
    "theirs",
    "tick",
  ]);
  expect(await transport.schedules?.due([], 1, call)).toMatchObject({ schedules: [] });
  for (const { key } of schedules) expect(await relay.schedules.remove(key)).toBe(true);
  await relay.close();
});
