/**
 * A world of schedules: relays whose clocks differ push the ticks of one store, whose own clock steps, while relays come,
 * go and are cut off and an operator pauses and resumes. The same seed is the same course.
 */
import { createRelay, every, memory, type Relay, type Schedules, type Transport } from "../../../mod.ts";
import { readMeta } from "../../../src/jobs/record.ts";
import { createFakeRuntime, type FakeRuntime } from "../../../src/testing/mod.ts";
import { createRandom } from "../../../src/testing/fake_runtime.ts";
import { free, running, wrapped } from "../support/kit.ts";

const JOBS = { job: free<null>() };
const MISSED = ["once", "skip", "all"] as const;
/** The shortest is so long that a world is over before more ticks were missed than are pushed. */
const PERIODS = [2_000, 3_000, 20_000, 90_000];
const STEPS = 60;
/** Milliseconds that a call may be on its way. */
const LATENCY = 5;
const MINUTE = 60_000;
const CALL = { deadline: 1_000 };
/** Milliseconds by which a tick may be late under `skip`, and by which the course of a look may make it later. */
const LATE = MINUTE + 3 * LATENCY;

/** Milliseconds in which a tick that has come is pushed. */
const SOON = 2_000;

type Wrap = (inner: Transport) => Transport;

/** What the store itself saw of a tick. */
interface Pushed {
  readonly key: string;
  readonly tick: number;
  readonly at: number;
}

interface Subject {
  readonly key: string;
  readonly period: number;
  readonly missed: typeof MISSED[number];
  paused: boolean;
  /** It was paused, or the store's clock was set, or nobody was up for long: a tick may have been left out. */
  disturbed: boolean;
}

interface Scheduler {
  readonly relay: Relay<typeof JOBS>;
  readonly run: ReturnType<typeof running>;
  cut: boolean;
}

/** Plays a seed; answers what went wrong, each with the name of its rule. */
export async function playSchedules(seed: number, wrap: Wrap = (inner) => inner): Promise<readonly string[]> {
  const random = createRandom(seed);
  const draw = (most: number): number => Math.floor(random() * most);
  const runtime = createFakeRuntime();
  const wrong: string[] = [];
  const pushed: Pushed[] = [];
  const store = memory({ runtime });
  const subjects: Subject[] = PERIODS.map((_, n) => ({
    key: `k${n}`,
    period: PERIODS[n] ?? 0,
    missed: MISSED[(n + seed) % MISSED.length] ?? "once",
    paused: false,
    disturbed: false,
  }));
  const seen = watched(store, (one) => {
    pushed.push(one);
    const subject = subjects.find(({ key }) => key === one.key);
    if (subject?.paused === true) wrong.push(`paused: ${one.key} pushed ${one.tick} while it rested`);
    if (subject?.missed === "skip" && one.at - one.tick > LATE) {
      wrong.push(`late: ${one.key} pushed ${one.tick} ${one.at - one.tick} ms late under 'skip'`);
    }
  });
  const shared = wrap(seen);
  const crew: Scheduler[] = [];
  const hire = (): void => void crew.push(start(runtime, shared, (random() - 0.5) * 10 * MINUTE, random));
  const keeper = createRelay({ jobs: JOBS, transport: shared, runtime, log: false });
  for (const { key, period, missed } of subjects) {
    await keeper.schedule("job", null, { key, missed, when: every(period) });
  }
  hire();
  for (let step = 0; step < STEPS; step++) {
    await act({ draw, random, runtime, keeper, subjects, crew, hire, calm: seed % 2 === 0 });
    await runtime.advance(draw(4_000));
  }
  // Whatever went wrong is over, and everything that is due must be pushed.
  for (const subject of subjects) {
    subject.paused = false;
    await keeper.schedules.resume(subject.key);
  }
  for (const one of crew) one.cut = false;
  hire();
  await runtime.advance(40_000);
  const due = await store.schedules?.due(["default"], 10, CALL);
  // One that has come this moment may be on its way.
  const late = (due?.schedules ?? []).filter(({ tick }) => (due?.now ?? 0) - tick > SOON);
  if (late.length > 0) wrong.push("liveness: ticks are due and none pushes them");
  const ending = Promise.all([
    ...crew.map(({ run }) => run.abort()),
    ...crew.map(({ relay }) => relay.close()),
  ]);
  await runtime.advance(40_000);
  await ending;
  wrong.push(...await judge(store, subjects));
  await keeper.close();
  return wrong;
}

interface Hands {
  readonly draw: (most: number) => number;
  readonly random: () => number;
  readonly runtime: FakeRuntime;
  readonly keeper: Relay<typeof JOBS>;
  readonly subjects: readonly Subject[];
  readonly crew: Scheduler[];
  readonly hire: () => void;
  /** Nothing happens to the schedules and the store's clock, and some relay is always there. */
  readonly calm: boolean;
}

async function act({ draw, random, runtime, keeper, subjects, crew, hire, calm }: Hands): Promise<void> {
  const dice = random();
  const subject = subjects[draw(subjects.length)];
  const one = crew[draw(crew.length)];
  if (dice < 0.15 && crew.length < 4) hire();
  else if (dice < 0.3 && one !== undefined && !(calm && crew.length === 1)) {
    crew.splice(crew.indexOf(one), 1);
    const gone = one.run.abort();
    await runtime.advance(10);
    await gone;
    await one.relay.close();
    if (crew.length === 0) { for (const each of subjects) each.disturbed = true; }
  } else if (dice < 0.45 && one !== undefined) one.cut = !one.cut;
  else if (calm) return;
  else if (dice < 0.6 && subject !== undefined) {
    const paused = subject.paused;
    subject.disturbed = true;
    // It rests from the answer on, and goes on from the call on.
    subject.paused = false;
    await (paused ? keeper.schedules.resume(subject.key) : keeper.schedules.pause(subject.key));
    subject.paused = !paused;
  } else if (dice < 0.65) {
    for (const each of subjects) each.disturbed = true;
    runtime.step((random() - 0.5) * 2 * 60 * MINUTE);
  } else if (dice < 0.7) {
    for (const each of subjects) each.disturbed = true;
    await runtime.advance(draw(5 * MINUTE));
  }
}

/** A relay that pushes ticks, by a clock that is ahead of the store's or behind it. */
function start(runtime: FakeRuntime, shared: Transport, ahead: number, random: () => number): Scheduler {
  const scheduler = { cut: false };
  const through = async <T>(call: () => Promise<T>): Promise<T> => {
    await runtime.sleep(random() * LATENCY);
    if (scheduler.cut && random() < 0.5) throw new Error("cut off before the call");
    const answer = await call();
    if (scheduler.cut) throw new Error("cut off before the answer");
    return answer;
  };
  const { schedules } = shared;
  if (schedules === undefined) throw new TypeError("A world of schedules needs a transport that has them");
  const transport = wrapped(shared, () => ({
    schedules: {
      ...schedules,
      due: (...rest) => through(() => schedules.due(...rest)),
      advance: (...rest) => through(() => schedules.advance(...rest)),
    },
  }));
  const own = { ...runtime, now: () => runtime.now() + ahead };
  const relay = createRelay({ jobs: JOBS, transport, runtime: own, log: false });
  return Object.assign(scheduler, { relay, run: running(relay) });
}

/** The store, whose moves are told with its own clock. */
function watched(store: Transport, tell: (pushed: Pushed) => void): Transport {
  const { schedules } = store;
  if (schedules === undefined) throw new TypeError("A world of schedules needs a transport that has them");
  const advance: Schedules["advance"] = async (queue, key, tick, next, job, call) => {
    const answer = await schedules.advance(queue, key, tick, next, job, call);
    const { now } = await schedules.due([], 1, call);
    if (answer === "pushed" && job !== undefined) tell({ key, tick: readMeta(job.meta).tick ?? 0, at: now });
    return answer;
  };
  return wrapped(store, () => ({ schedules: { ...schedules, advance } }));
}

/** Compares the jobs that are there with the ticks that there were. */
async function judge(store: Transport, subjects: readonly Subject[]): Promise<readonly string[]> {
  const wrong: string[] = [];
  const ticks = new Map<string, number[]>(subjects.map(({ key }) => [key, []]));
  let cursor: string | undefined;
  do {
    const page = await store.list("default", "waiting", { limit: 1_000, cursor, preview: 0 }, CALL);
    for (const { meta } of page.entries) {
      const { schedule = "", tick = Number.NaN } = readMeta(meta);
      ticks.get(schedule)?.push(tick);
    }
    cursor = page.cursor;
  } while (cursor !== undefined);
  for (const { key, period, missed, disturbed } of subjects) {
    const found = (ticks.get(key) ?? []).toSorted((a, b) => a - b);
    found.forEach((tick, n) => {
      const before = found[n - 1];
      if (before === undefined) return;
      if (tick === before) wrong.push(`twice: ${key} has two jobs of ${tick}`);
      else if ((tick - before) % period !== 0) wrong.push(`grid: ${key} has ${tick} behind ${before}`);
      else if (missed === "all" && !disturbed && tick - before !== period) {
        wrong.push(`skipped: ${key} has no job between ${before} and ${tick}`);
      }
    });
  }
  return wrong;
}
