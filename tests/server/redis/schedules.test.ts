/** Schedules whose fields another program spoilt: each is told once, and hides no other. */
import { expect, test } from "vitest";
import { createRelay, every } from "../../../mod.ts";
import { free, heard } from "../../web/support/kit.ts";
import { scene } from "./model_support.ts";

const { open, send } = scene({});
const jobs = { report: { schema: free<string>(), queue: "q" } };

test("fields that another program wrote or changed are told once each, are listed, and hide no other", async () => {
  const transport = open();
  const relay = createRelay({ jobs, transport, log: false });
  const ran: string[] = [];
  relay.handle("report", (payload) => void ran.push(payload));
  const start = Date.now() - 10_000;
  for (const key of ["good", "text", "late"]) {
    await relay.schedule("report", key, { key, start, when: every(3_600_000) });
  }
  const [base = ""] = (await send("KEYS", "*:schedules") as readonly unknown[]).map(String);
  const ticks = base.replace(/schedules$/, "ticks");
  await send("HSET", base, "text", "hello");
  await send("HSET", base, "theirs", String.fromCharCode(0x93, 1));
  await send("ZADD", ticks, start, "theirs");
  await send("ZADD", ticks, start, "nowhere");

  const errors = heard(relay.events, "error");
  expect(await relay.drain()).toMatchObject({ completed: 2 });
  expect(await relay.drain()).toMatchObject({ completed: 0 });
  expect(ran.toSorted()).toEqual(["good", "late"]);
  const told = errors.map(({ error }) => /schedule '(.*?)'/.exec(error.message)?.[1]);
  expect(told.toSorted()).toEqual(["text", "theirs"]);
  const { schedules } = await relay.schedules.list();
  expect(schedules.map(({ key }) => key)).toEqual(["good", "late", "text", "theirs"]);
  for (const { key } of schedules) expect(await relay.schedules.remove(key)).toBe(true);
  await relay.close();
});
