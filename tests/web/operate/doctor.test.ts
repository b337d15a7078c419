import { expect, test } from "vitest";
import { createRelay, deadLetter, type Finding, memory, type Transport } from "../../../mod.ts";
import type { DoctorOutput } from "../../../src/operate/doctor.ts";
import { operationOf } from "../../../src/operate/table.ts";
import { createFakeRuntime } from "../../../src/testing/mod.ts";
import { free } from "../support/kit.ts";

function place(around: (inner: Transport) => Transport = (inner) => inner) {
  const runtime = createFakeRuntime();
  const relay = createRelay({
    jobs: { mail: { schema: free<number>(), queue: "mails" }, bill: free<number>() },
    transport: around(memory({ runtime })),
    runtime,
  });
  const look = async (now: () => number = runtime.now): Promise<DoctorOutput> =>
    await operationOf("store.diagnose").run({ relay, now }, {}) as DoctorOutput;
  const found = async (check: string, now?: () => number): Promise<readonly Finding[]> =>
    (await look(now)).findings.filter((finding) => finding.check === check);
  return { runtime, relay, look, found };
}

test("the doctor finds a queue whose consumer died: its oldest job has waited for a minute, and none runs", async () => {
  const { runtime, relay, found } = place();
  await relay.dispatch("mail", 1);
  await runtime.advance(59_000);
  expect(await found("waits")).toMatchObject([{ severity: "ok" }]);
  await runtime.advance(2_000);
  expect(await found("waits")).toMatchObject([
    { severity: "warning", says: "Queue 'mails': 1 job waits, the oldest for 1 min, and none runs" },
  ]);
});

test("the doctor finds workers that do not keep up, once the oldest job has waited for five minutes", async () => {
  const { runtime, relay, found } = place();
  const over = Promise.withResolvers<void>();
  relay.handle("mail", () => over.promise);
  for (const n of [1, 2, 3]) await relay.dispatch("mail", n);
  const running = relay.run({ concurrency: 1, prefetch: 0 });
  await runtime.advance(290_000);
  expect(await found("waits")).toMatchObject([{ severity: "ok" }]);
  await runtime.advance(20_000);
  expect(await found("waits")).toMatchObject([{
    severity: "warning",
    says: expect.stringContaining("1 run"),
  }]);
  over.resolve();
  await Promise.all([relay.close(), running]);
});

test("the doctor counts dead jobs by reason and name, of the queue that has most first", async () => {
  const { relay, look, found } = place();
  relay.handle("mail", (n) => deadLetter({ reason: n % 3 === 0 ? "refused" : "no such box" }));
  relay.handle("bill", () => deadLetter({ reason: "nothing to pay" }));
  for (let n = 0; n < 6; n++) await relay.dispatch("mail", n);
  await relay.dispatch("bill", 1);
  await relay.drain();
  const [first, second, ...more] = await found("dead");
  expect(first?.says).toBe("Queue 'mails': 6 dead, 4 of 'mail' (no such box), 2 of 'mail' (refused)");
  expect([second?.says, more]).toEqual(["Queue 'default': 1 dead, 1 of 'bill' (nothing to pay)", []]);
  expect((await look()).dead).toContainEqual({
    queue: "mails",
    channel: "failed",
    reason: "refused",
    name: "mail",
    count: 2,
  });
});

test("of many queues in trouble ten are named, and the others are counted", async () => {
  const { runtime, relay, found } = place();
  const call = { deadline: 1_000 };
  for (let n = 0; n < 13; n++) {
    const job = { queue: `q${n}`, id: "1", name: "mail", payload: new Uint8Array(), meta: "" };
    await relay.transport.push([job], call);
  }
  await runtime.advance(120_000);
  const waits = await found("waits");
  expect([waits.length, waits.at(-1)?.says]).toEqual([11, "And 3 more queues whose jobs wait for long"]);
});

/** A transport whose store has a clock of its own. */
function clockOf(ahead: () => number, runtime: () => number): (inner: Transport) => Transport {
  return (inner) => ({
    ...inner,
    features: { ...inner.features, clock: "server" },
    diagnose: () => Promise.resolve({ clock: runtime() + ahead(), findings: [] }),
  });
}

test("the doctor says how far the store's clock is apart, but not what the way there may have taken", async () => {
  let ahead = 0;
  let now = 1_000_000;
  const { found } = place(clockOf(() => ahead, () => now));
  const slow = (): number => now += 500;
  expect(await found("clock", slow)).toMatchObject([{ severity: "ok" }]);
  for (const [skew, says] of [[90_000, "1 min ahead of"], [-5_000, "5 s behind"]] as const) {
    ahead = skew;
    expect(await found("clock", () => now)).toMatchObject([
      { severity: "warning", says: expect.stringContaining(says) },
    ]);
  }
});

test("a transport that cannot be diagnosed says so, and its queues are looked at all the same", async () => {
  const { look } = place(({ diagnose: _, ...inner }) => inner);
  const { findings } = await look();
  expect(findings[0]).toMatchObject({ check: "store", severity: "unseen" });
  expect(findings.map(({ check }) => check)).toEqual(["store", "clock", "waits", "dead"]);
});

test("a memory transport that is nearly full is told before it refuses", async () => {
  const runtime = createFakeRuntime();
  const relay = createRelay({
    jobs: { mail: free<number>() },
    transport: memory({ runtime, maxJobs: 10 }),
    runtime,
  });
  const severities: (string | undefined)[] = [];
  for (let n = 0; n < 10; n++) {
    await relay.dispatch("mail", n);
    severities.push((await relay.diagnose()).findings.find(({ check }) => check === "space")?.severity);
  }
  expect(severities).toEqual([...Array(7).fill("ok"), "warning", "warning", "danger"]);
});
