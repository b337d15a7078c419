import { expect, test } from "vitest";
import { createRelay, deadLetter, every, memory, type Relay, reschedule } from "../../../mod.ts";
import { createEvents, observeRuns } from "../../../src/events/events.ts";
import type { Told } from "../../../src/events/runs.ts";
import { BUCKETS, createHistogram } from "../../../src/prometheus/histogram.ts";
import { prometheus, watchQueues } from "../../../src/prometheus/mod.ts";
import { createFakeRuntime, type FakeRuntime } from "../../../src/testing/mod.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { free, thrown } from "../support/kit.ts";

type Mails = { readonly mail: ReturnType<typeof free<string>> };

interface Place {
  readonly runtime: FakeRuntime;
  readonly transport: Transport;
  readonly relay: Relay<Mails>;
}

function place(queues: readonly string[] = []): Place {
  const runtime = createFakeRuntime();
  const transport = memory({ runtime });
  const more = Object.fromEntries(queues.map((queue) => [`in ${queue}`, { schema: free<string>(), queue }]));
  const relay = createRelay({ jobs: { mail: free<string>(), ...more }, transport, runtime });
  return { runtime, transport, relay };
}

/** The value of a sample; undefined where there is none. */
function valueOf(text: string, sample: string): number | undefined {
  const line = text.split("\n").find((each) => each.startsWith(`${sample} `));
  return line === undefined ? undefined : Number(line.slice(sample.length + 1).replace("Inf", "Infinity"));
}

/** Handles each kind of mail in its way. */
function handle({ relay, runtime }: Place): void {
  relay.handle("mail", async (how) => {
    await runtime.sleep(40);
    if (how === "dead") return deadLetter({ reason: "refused" });
    if (how === "again") return reschedule(every(60_000));
    if (how === "retry") throw new Error("no mailer");
    return undefined;
  });
}

async function drained({ relay, runtime }: Place): Promise<void> {
  const drain = relay.drain();
  await runtime.advance(1_000);
  await drain;
}

test("F138, F168, W102: runs are counted by queue, name and outcome, reschedules too", async () => {
  const here = place();
  using metrics = prometheus(here.relay, { runtime: here.runtime });
  handle(here);
  for (const how of ["well", "well", "dead", "again", "retry"]) await here.relay.dispatch("mail", how);
  await drained(here);
  const text = metrics.text();
  const runs = (outcome: string): number | undefined =>
    valueOf(text, `relevo_job_runs_total{queue="default",job_type="mail",outcome="${outcome}"}`);
  expect([runs("completed"), runs("failed"), runs("rescheduled"), runs("retrying")]).toEqual([2, 1, 1, 1]);
  expect(valueOf(text, 'relevo_jobs_dispatched_total{queue="default",job_type="mail",status="stored"}')).toBe(
    5,
  );
});

test("F137, W94: each run's time is counted, failed ones too, in fractions of a second", async () => {
  const here = place();
  using metrics = prometheus(here.relay, { runtime: here.runtime });
  handle(here);
  for (const how of ["well", "dead"]) await here.relay.dispatch("mail", how);
  await drained(here);
  const text = metrics.text();
  const labels = 'queue="default",job_type="mail"';
  expect(valueOf(text, `relevo_job_run_seconds_count{${labels}}`)).toBe(2);
  expect(valueOf(text, `relevo_job_run_seconds_sum{${labels}}`)).toBeCloseTo(0.08);
  expect(valueOf(text, `relevo_job_run_seconds_bucket{${labels},le="0.025"}`)).toBe(0);
  expect(valueOf(text, `relevo_job_run_seconds_bucket{${labels},le="0.05"}`)).toBe(2);
  expect(valueOf(text, `relevo_job_run_seconds_bucket{${labels},le="+Inf"}`)).toBe(2);
});

test("waits are counted from the due time to the start, and handlers that run now are in flight", async () => {
  const here = place();
  using metrics = prometheus(here.relay, { runtime: here.runtime });
  handle(here);
  await here.relay.dispatch("mail", "well");
  await here.runtime.advance(3_000);
  const drain = here.relay.drain();
  await here.runtime.advance(20);
  const labels = '{queue="default",job_type="mail"}';
  expect(valueOf(metrics.text(), `relevo_job_wait_seconds_sum${labels}`)).toBe(3);
  expect(valueOf(metrics.text(), `relevo_jobs_in_flight${labels}`)).toBe(1);
  await here.runtime.advance(100);
  await drain;
  expect(valueOf(metrics.text(), `relevo_jobs_in_flight${labels}`)).toBe(0);
});

test("F172: a relay given twice counts once, and relays of one store read it once", async () => {
  const here = place();
  const other = createRelay({
    jobs: { mail: free<string>() },
    transport: here.transport,
    runtime: here.runtime,
  });
  using metrics = prometheus([here.relay, here.relay, other], { runtime: here.runtime });
  await here.relay.dispatch("mail", "well");
  await other.dispatch("mail", "well");
  await here.runtime.advance(15_000);
  const text = metrics.text();
  expect(valueOf(text, 'relevo_jobs_dispatched_total{queue="default",job_type="mail",status="stored"}')).toBe(
    2,
  );
  expect(text.match(/relevo_queue_jobs\{queue="default",channel="waiting"\}/g)?.length).toBe(1);
});

test("a queue that two stores have, or two connections to one store, is one sample of each metric: the larger count", async () => {
  const { relay, runtime } = place();
  const other = place();
  await relay.dispatch("mail", "a");
  for (const text of ["a", "b", "c"]) await other.relay.dispatch("mail", text);
  using metrics = prometheus([relay, other.relay], { runtime });
  await runtime.settle();
  const samples = metrics.text().split("\n").map((line) => line.split(" ")[0]).filter((name) => name !== "#");
  expect(samples).toEqual([...new Set(samples)]);
  expect(metrics.text()).toContain('relevo_queue_jobs{queue="default",channel="waiting"} 3\n');
});

test("a wait holds the time in which handlers that began in the same turn held the thread", async () => {
  const clock = createFakeRuntime();
  let held = 0;
  const runtime = { ...clock, now: () => clock.now() + held, monotonic: () => clock.monotonic() + held };
  const relay = createRelay({
    jobs: { mail: free<string>() },
    transport: memory({ runtime }),
    runtime,
    log: false,
  });
  const waits: number[] = [];
  relay.events.addEventListener("started", ({ detail }) => waits.push(detail.wait));
  using metrics = prometheus(relay, { runtime });
  relay.handle("mail", () => void (held += 250));
  for (let sent = 0; sent < 3; sent++) await relay.dispatch("mail", "well");
  await relay.drain();
  expect(waits).toEqual([0, 250, 500]);
  const labels = '{queue="default",job_type="mail"}';
  expect(valueOf(metrics.text(), `relevo_job_wait_seconds_sum${labels}`)).toBe(0.75);
  await relay.close();
});

test("times are counted in the first bucket that holds them, whichever was counted before", () => {
  const histogram = createHistogram();
  const times = [0, 1, 1.5, 0.5, 5, 5_000, 4_000_000, 5, 3_600_000, 3_600_001, -1];
  for (const ms of times) histogram.observe(ms);
  const samples = histogram.samples({});
  for (const bound of BUCKETS) {
    const below = samples.find(({ labels }) => labels.le === String(bound));
    expect([bound, below?.value]).toEqual([bound, times.filter((ms) => ms <= bound * 1_000).length]);
  }
  expect(samples.at(-1)?.value).toBe(times.length);
});

test("depth, oldest wait and seconds to drain are those of the last look, and a scrape asks the store nothing", async () => {
  const here = place();
  let asked = 0;
  const { info } = here.transport;
  Object.defineProperty(here.transport, "info", {
    value: (...given: Parameters<typeof info>) => {
      asked++;
      return info.apply(here.transport, given);
    },
  });
  await here.relay.dispatch("mail", "well");
  using metrics = prometheus(here.relay, { runtime: here.runtime });
  await here.runtime.advance(15_000);
  for (let n = 0; n < 10; n++) metrics.fetch();
  expect(asked).toBe(2);
  const text = metrics.text();
  expect(valueOf(text, 'relevo_queue_jobs{queue="default",channel="waiting"}')).toBe(1);
  expect(valueOf(text, 'relevo_queue_oldest_wait_seconds{queue="default"}')).toBe(15);
  expect(valueOf(text, 'relevo_queue_drain_seconds{queue="default"}')).toBe(Infinity);
});

test("seconds to drain follow the rate of the last minute", async () => {
  const here = place();
  using metrics = prometheus(here.relay, { runtime: here.runtime });
  here.relay.handle("mail", () => undefined);
  await here.relay.dispatchMany(
    Array.from({ length: 60 }, () => ({ name: "mail", payload: "well" }) as const),
  );
  await here.relay.drain();
  await here.relay.dispatchMany(
    Array.from({ length: 30 }, () => ({ name: "mail", payload: "well" }) as const),
  );
  await here.runtime.advance(60_000);
  // 60 in the last minute, and 30 wait.
  const seconds = valueOf(metrics.text(), 'relevo_queue_drain_seconds{queue="default"}') ?? 0;
  expect(seconds).toBeGreaterThan(25);
  expect(seconds).toBeLessThan(35);
});

test("W69: when the store fails, gauges are left out after three intervals, and never become 0", async () => {
  const here = place();
  await here.relay.dispatch("mail", "well");
  using metrics = prometheus(here.relay, { runtime: here.runtime, interval: 1_000 });
  await here.runtime.advance(0);
  const depth = (): number | undefined =>
    valueOf(metrics.text(), 'relevo_queue_jobs{queue="default",channel="waiting"}');
  expect(depth()).toBe(1);
  await here.transport[Symbol.asyncDispose]();
  await here.runtime.advance(2_500);
  expect(depth()).toBe(1);
  await here.runtime.advance(1_000);
  expect(depth()).toBeUndefined();
});

test("names beyond a thousand are counted together as `other`", async () => {
  const names = Array.from({ length: 1_200 }, (_, n) => `q${n}`);
  const here = place(names);
  using metrics = prometheus(here.relay, { runtime: here.runtime });
  const jobs = names.map((queue) => ({ name: `in ${queue}`, payload: "" }));
  await here.relay.dispatchMany(jobs as unknown as Parameters<typeof here.relay.dispatchMany>[0]);
  await here.runtime.advance(15_000);
  const text = metrics.text();
  expect(valueOf(text, 'relevo_jobs_dispatched_total{queue="other",job_type="other",status="stored"}')).toBe(
    200,
  );
  expect(valueOf(text, 'relevo_queue_jobs{queue="other",channel="waiting"}')).toBe(200);
  expect(text.match(/^relevo_queue_drain_seconds/gm)?.length).toBe(1_001);
});

test("labels that other programs chose cannot break the page", async () => {
  const here = place(['a"b\\c']);
  using metrics = prometheus(here.relay, { runtime: here.runtime });
  await here.relay.dispatch('in a"b\\c' as "mail", "");
  expect(metrics.text()).toContain('queue="a\\"b\\\\c"');
});

test("a scrape is answered as Prometheus asks for it, and another method is 405", async () => {
  const { relay, runtime } = place();
  using metrics = prometheus(relay, { runtime });
  const answer = metrics.fetch(new Request("http://localhost/metrics"));
  expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(await answer.text()).toContain("# TYPE relevo_errors_total counter\nrelevo_errors_total 0\n");
  expect(metrics.fetch(new Request("http://localhost/metrics", { method: "POST" })).status).toBe(405);
});

test("metrics that are disposed of leave no timer and hear nothing", async () => {
  const here = place();
  const before = here.runtime.sleepers;
  const metrics = prometheus(here.relay, { runtime: here.runtime });
  await here.runtime.advance(0);
  metrics[Symbol.dispose]();
  await here.runtime.settle();
  expect(here.runtime.sleepers).toBe(before);
  await here.relay.dispatch("mail", "well");
  expect(metrics.text()).not.toContain("relevo_jobs_dispatched_total");
});

test("F164: a gauge is set to every channel of every queue in each interval, and to nothing when the store fails", async () => {
  const here = place();
  const set: string[] = [];
  const failures: unknown[] = [];
  await here.relay.dispatch("mail", "well");
  await here.relay.dispatch("mail", "well", { delay: 60_000 });
  using _watch = watchQueues(here.relay, {
    interval: 100,
    set: (queue, channel, value) => void set.push(`${queue} ${channel} ${value}`),
    failed: (error) => void failures.push(error),
    runtime: here.runtime,
  });
  const all = ["waiting 1", "delayed 1", "reserved 0", "failed 0", "timeout 0"].map((each) =>
    `default ${each}`
  );
  await here.runtime.advance(0);
  expect(set).toEqual(all);
  await here.runtime.advance(100);
  expect(set).toEqual([...all, ...all]);
  await here.transport[Symbol.asyncDispose]();
  await here.runtime.advance(100);
  expect([set.length, failures.length]).toEqual([10, 1]);
});

test("a watch ends with its relay", async () => {
  const here = place();
  using _watch = watchQueues(here.relay, { set: () => undefined, runtime: here.runtime });
  await here.runtime.settle();
  await here.relay.close();
  await here.runtime.advance(15_000);
  expect(here.runtime.sleepers).toBe(0);
});

test("what is no relay, and an interval that is no time, are refused", () => {
  const { relay } = place();
  expect(thrown(() => prometheus({} as typeof relay)).message).toContain(
    "it takes a relay, or a list of them",
  );
  expect(thrown(() => prometheus(relay, { interval: 0 })).message).toContain(
    "'interval' must be milliseconds",
  );
  expect(thrown(() => watchQueues(relay, { set: 1 as never })).message).toBe(
    "Cannot watch queues as 'set' must be a function: current value is 1",
  );
  expect(thrown(() => watchQueues(1 as never, { set: () => undefined })).message).toBe(
    "Cannot watch queues as its first argument must be a relay: current value is 1",
  );
});

test("metrics cost runs no event, and one call for all that ended in one go", async () => {
  const events = createEvents(() => undefined);
  let made = 0;
  const runOf = (name: string): Told => ({
    delivery: { id: name, name, queue: "default" },
    wait: 3,
    duration: 5,
    end: undefined,
    get detail(): never {
      made++;
      throw new Error("made for nothing");
    },
  });
  const calls: unknown[] = [];
  using _ = observeRuns(events.target, (ended) => {
    calls.push(ended.map(({ delivery: { name }, end }) => `${name} ${end}`));
  });
  const twice = runOf("c");
  for (const run of [runOf("a"), runOf("b")]) events.tell("completed", run);
  events.over(twice, "stale");
  events.over(twice);
  expect(calls).toEqual([]);
  await Promise.resolve();
  expect(calls).toEqual([["a completed", "b completed", "c stale", "c untold"]]);
  expect(made).toBe(0);
});

test("a scrape in the turn in which runs end has them all, and what ended before metrics were made is none of theirs", async () => {
  const here = place();
  here.relay.handle("mail", () => undefined);
  using metrics = prometheus(here.relay, { runtime: here.runtime });
  const seen: (number | undefined)[] = [];
  const labels = 'queue="default",job_type="mail"';
  const completed = (text: string): number | undefined =>
    valueOf(text, `relevo_job_runs_total{${labels},outcome="completed"}`);
  const made: ReturnType<typeof prometheus>[] = [];
  here.relay.events.addEventListener("completed", () => {
    seen.push(completed(metrics.text()));
    if (made.length === 0) made.push(prometheus(here.relay, { runtime: here.runtime }));
  });
  for (let sent = 0; sent < 3; sent++) await here.relay.dispatch("mail", "well");
  await here.relay.drain();
  expect(seen).toEqual([1, 2, 3]);
  const [late] = made;
  expect(completed(late?.text() ?? "")).toBe(2);
  late?.[Symbol.dispose]();
});

test("metrics that are made while a handler runs have it in flight, with its wait, and count its end once", async () => {
  const here = place();
  const end = Promise.withResolvers<void>();
  here.relay.handle("mail", () => end.promise);
  await here.relay.dispatch("mail", "held");
  await here.runtime.advance(2_000);
  const drain = here.relay.drain();
  await here.runtime.advance(10);
  using metrics = prometheus(here.relay, { runtime: here.runtime });
  const labels = '{queue="default",job_type="mail"}';
  const shown = (): unknown[] => {
    const text = metrics.text();
    return ["s_in_flight", "_wait_seconds_count", "_wait_seconds_sum", "_run_seconds_count"].map((each) =>
      valueOf(text, `relevo_job${each}${labels}`)
    );
  };
  expect(shown()).toEqual([1, 1, 2, 0]);
  expect(shown()).toEqual([1, 1, 2, 0]);
  end.resolve();
  await here.runtime.advance(10);
  await drain;
  expect(shown()).toEqual([0, 1, 2, 1]);
});

test("a run that asks for another in vain, where jobs run inline, is in flight no more", async () => {
  const runtime = createFakeRuntime();
  const relay = createRelay({ jobs: { mail: free<string>() }, runtime, inline: true });
  using metrics = prometheus(relay, { runtime });
  const inFlight = (): number | undefined =>
    valueOf(metrics.text(), 'relevo_jobs_in_flight{queue="default",job_type="mail"}');
  const seen: unknown[] = [];
  relay.handle("mail", () => {
    seen.push(inFlight());
    return reschedule(every(60_000));
  });
  await expect(relay.dispatch("mail", "x")).rejects.toThrow("as it runs inline");
  expect([...seen, inFlight()]).toEqual([1, 0]);
});
