import { expect, onTestFinished, test } from "vitest";
import { after, createRelay, every, json, memory, reschedule } from "../../../mod.ts";
import { aesGcm, gzip, keyRing, pipeline } from "../../../src/codecs/mod.ts";
import { createFakeRuntime } from "../../../src/testing/fake_runtime.ts";
import { free, heard, textOf } from "../support/kit.ts";
import { ring } from "./support.ts";

test("the jobs of a schedule carry what was encrypted once, and the same schedule is kept by each start", async () => {
  const runtime = createFakeRuntime();
  const transport = memory({ runtime });
  const codec = pipeline(json, gzip(), aesGcm(ring));
  const jobs = { report: { schema: free<string>(), codec, require: true } };
  const relay = createRelay({ jobs, transport, runtime });
  expect(await relay.schedule("report", "sales", { when: every(10_000) })).toBe("created");
  expect(await relay.schedule("report", "sales", { when: every(10_000) })).toBe("same");
  expect(await relay.schedule("report", "costs", { when: every(10_000) })).toBe("replaced");
  const { schedules: [stored] } = await relay.schedules.list();
  expect(textOf(stored?.payload ?? new Uint8Array())).not.toContain("costs");
  const seen: string[] = [];
  relay.handle("report", (text, { attempt }) => {
    seen.push(text);
    return attempt === 1 && seen.length === 1 ? reschedule(after(0), { payload: "again" }) : undefined;
  });
  await relay.schedules.run("report");
  expect(await relay.drain()).toMatchObject({ completed: 1, rescheduled: 1 });
  expect(seen).toEqual(["costs", "again"]);
  await relay.close();
});

test("a schedule is encrypted anew when it is stored again with a newer key, so that the old one can be taken out", async () => {
  const runtime = createFakeRuntime();
  const transport = memory({ runtime });
  const keys = ["old", "new"].map((id) => ({ id, key: crypto.getRandomValues(new Uint8Array(32)) }));
  const open = (...ids: string[]) => {
    const own = keyRing("main", keys.filter(({ id }) => ids.includes(id)));
    const report = { schema: free<string>(), codec: pipeline(json, gzip(), aesGcm(own)) };
    const relay = createRelay({ jobs: { report }, transport, runtime });
    onTestFinished(() => relay.close());
    return relay;
  };
  const when = every(10_000);
  expect(await open("old").schedule("report", "sales", { when })).toBe("created");
  const both = open("old", "new");
  expect(await both.schedule("report", "sales", { when })).toBe("replaced");
  expect(await both.schedule("report", "sales", { when })).toBe("same");
  const last = open("new");
  const seen: string[] = [];
  last.handle("report", (text) => void seen.push(text));
  await last.schedules.run("report");
  expect(await last.drain()).toMatchObject({ completed: 1 });
  expect(seen).toEqual(["sales"]);
});

test("what a schedule's jobs carry cannot be moved to another schedule, nor to a job beside it", async () => {
  const runtime = createFakeRuntime();
  const transport = memory({ runtime });
  const jobs = { report: { schema: free<string>(), codec: pipeline(json, aesGcm(ring)) } };
  const relay = createRelay({ jobs, transport, runtime });
  await relay.schedule("report", "of a", { when: every(10_000), key: "a" });
  await relay.schedule("report", "of b", { when: every(10_000), key: "b" });
  const call = { deadline: 1_000 };
  const [a, b] = await Promise.all(["a", "b"].map((key) => transport.schedules?.get("default", key, call)));
  if (a === undefined || b === undefined) throw new Error("Both schedules must be there");
  await transport.schedules?.put({ ...b, payload: a.payload }, call);
  await relay.schedules.run("a");
  const [job] = (await relay.list("default", "waiting")).jobs;
  const entry = {
    queue: "default",
    id: "beside",
    name: "report",
    payload: a.payload,
    meta: '{"v":1,"codec":"json+a256gcm:main"}',
  };
  await transport.push([entry], call);
  await relay.schedules.run("b");
  const failed = heard(relay.events, "failed");
  const seen: string[] = [];
  relay.handle("report", (text) => void seen.push(text));
  expect(await relay.drain()).toMatchObject({ completed: 1, failed: 2 });
  expect(seen).toEqual(["of a"]);
  expect(job?.schedule).toBe("a");
  expect(failed.map(({ reason }) => reason)).toEqual(["undecodable", "undecodable"]);
  await relay.close();
});
