/**
 * A world: producers, workers and an operator on one memory transport, moved step by step by one die. The same seed is
 * the same history.
 */
import {
  createRelay,
  type DispatchOptions,
  memory,
  OutcomeUnknown,
  type Relay,
  type Transport,
  type WorkerOptions,
} from "../../../mod.ts";
import { MAX_PREFETCH, MAX_UNSETTLED } from "../../../src/defaults.ts";
import { createRandom } from "../../../src/testing/fake_runtime.ts";
import { createFakeRuntime, type HistoryLine } from "../../../src/testing/mod.ts";
import type { Runtime } from "../../../src/runtime.ts";
import { around, watching } from "../mutants/mutants.ts";
import { type Running, running } from "../support/kit.ts";
import { type Cable, createCable, type Weather } from "./flaky.ts";
import { createOperator, type Operator } from "./operator.ts";
import { createRecorder, historyOf, type Recorder, type Written } from "./recorder.ts";
import { createTask, jobs, type Mood, NAMES, OWN } from "./tasks.ts";

/** How long one call may take. */
const CALL = 1_000;
/** Milliseconds in which everything that waits is done once nothing goes wrong any more. */
const DRAIN = 120_000;

/** What a world is like. */
export interface Climate {
  readonly workers: number;
  /** The part of calls that something happens to. */
  readonly trouble: number;
  /** Whether workers are killed. */
  readonly kills: boolean;
  /** The part of steps at which the transport goes out for a worker or for all, or comes back. */
  readonly cuts: number;
  /** One worker, one handler at a time: jobs begin in the order of their dispatch. */
  readonly ordered: boolean;
  /** What is put around the memory transport. */
  readonly wrap?: (inner: Transport) => Transport;
}

interface Actor {
  readonly relay: Relay<typeof jobs>;
  readonly cable: Cable;
  readonly recorder: Recorder;
  readonly name: string;
  /** Sleeps of this relay that have not ended. */
  readonly asleep: () => number;
  readonly counts: Map<string, number>;
  alive: boolean;
  run: Running | undefined;
}

/** A world in motion. */
export interface World {
  step(): Promise<void>;
  /** Ends all trouble, lets everything drain, and returns the history; `drained`: nothing was left to be done. */
  end(): Promise<{ readonly history: readonly HistoryLine[]; readonly drained: boolean }>;
}

export function createWorld(seed: number, climate: Climate): World {
  const runtime = createFakeRuntime({ seed });
  const random = createRandom(seed * 7_919 + 1);
  const weather: Weather = { trouble: climate.trouble, out: false };
  const mood: Mood = { calm: false };
  const written: Written[] = [];
  const granted = new Map<string, number>();
  const now = (): number => runtime.monotonic();
  const write = (lines: readonly Written[]): void => void written.push(...lines);
  const inner = memory({ runtime });
  const wrapped = climate.wrap?.(inner) ?? inner;
  const store = around(wrapped, {
    reserve: watching(wrapped, (delivery) => {
      granted.set(delivery.token, now() + delivery.lease);
      return delivery;
    }),
  });
  store.users.add(runtime);
  const operator: Operator = createOperator(store, now, write);
  const pending: Promise<unknown>[] = [];
  const workers: Actor[] = [];
  let count = 0;
  let names = 0;

  function enter(kind: string): Actor {
    const name = `${kind} ${++names}`;
    const cable = createCable(store, runtime, random, weather);
    const counted = countSleeps(runtime);
    const recorder = createRecorder({
      process: name,
      now,
      write: (lines) => actor.alive && write(lines),
      until: (token) => granted.get(token),
      ordered: climate.ordered,
    });
    const relay = createRelay({
      jobs,
      transport: recorder.transport(cable.transport),
      runtime: counted.runtime,
      callTimeout: CALL,
    });
    const actor: Actor = {
      relay,
      cable,
      recorder,
      name,
      asleep: counted.asleep,
      counts: countEvents(relay),
      alive: true,
      run: undefined,
    };
    return actor;
  }

  function hire(): Actor {
    const actor = enter("worker");
    const handle = actor.recorder.handler(createTask(runtime, random, mood));
    for (const name of NAMES) actor.relay.handle(name, handle);
    workers.push(actor);
    return actor;
  }

  function start(actor: Actor): void {
    const options: WorkerOptions = {
      concurrency: climate.ordered ? 1 : 1 + Math.floor(random() * 6),
      lease: 300 + Math.floor(random() * 1_500),
      poll: 50 + Math.floor(random() * 400),
      grace: Math.floor(random() * 200),
      abortGrace: Math.floor(random() * 200),
      maxLost: random() < 0.3 ? 0 : 3,
      ...(climate.ordered ? { queues: ["a", "b"] } : {}),
    };
    const { concurrency = 0 } = options;
    write([{ op: "run", at: now(), process: actor.name, concurrency }]);
    const run = running(actor.relay, options);
    actor.run = run;
    run.done.finally(() => {
      actor.run = undefined;
      if (actor.alive) write([{ op: "stop", at: now(), process: actor.name, alive: actor.asleep() }]);
    }).catch(() => undefined);
  }

  const producers = [enter("producer"), ...climate.ordered ? [] : [enter("producer")]];

  function optionsOf(): DispatchOptions {
    if (climate.ordered) return {};
    const [own, delayed, timed, drawn] = [random(), random(), random(), Math.floor(random() * 12)];
    const again = own < 0.3;
    return {
      // The lines of an id speak of one job: those that share one are equal in what they ask for.
      maxAttempts: 1 + drawn % 4,
      ...(again ? { id: `${OWN}${drawn}`, idWindow: own < 0.1 ? 0 : 3_000 + Math.floor(own * 9_000) } : {}),
      ...(delayed < 0.2 && !again ? { delay: Math.floor(delayed * 10_000) } : {}),
      ...(timed < 0.2 ? { timeout: 1 + Math.floor(timed * 400) } : {}),
      ...(timed > 0.8 ? { headers: { drawn: `${timed}` } } : {}),
    };
  }

  /** Dispatches a job; what may or may not be stored is sometimes sent again. */
  async function dispatch({ relay }: Actor): Promise<void> {
    const name = NAMES[random() < 0.5 ? 0 : 1];
    const options = optionsOf();
    const payload = { n: ++count };
    try {
      await relay.dispatch(name, payload, options);
    } catch (error) {
      if (error instanceof OutcomeUnknown && options.id !== undefined && random() < 0.7) {
        await relay.dispatch(name, payload, options).catch(() => undefined);
      }
    }
  }

  async function dispatchMany({ relay }: Actor): Promise<void> {
    const many = Array.from({ length: 1 + Math.floor(random() * 20) }, () => ({
      name: NAMES[random() < 0.5 ? 0 : 1],
      payload: { n: ++count },
      ...optionsOf(),
    }));
    await relay.dispatchMany(many, { atomic: random() < 0.3 }).catch(() => undefined);
  }

  function kill(actor: Actor): void {
    actor.alive = false;
    actor.cable.cut();
    workers.splice(workers.indexOf(actor), 1);
    pending.push(actor.relay.close({ grace: 0 }).catch(() => undefined));
    start(hire());
  }

  function shift(): void {
    const actor = workers[Math.floor(random() * workers.length)];
    if (actor === undefined) return;
    const { run } = actor;
    const fate = random();
    if (run === undefined) start(actor);
    else if (fate < 0.3) pending.push(run.abort().catch(() => undefined));
    else if (fate < 0.6) pending.push(run.worker.stop(fate < 0.45 ? {} : { grace: fate * 200 }));
    else if (climate.kills && fate < 0.8) kill(actor);
  }

  /** The transport goes out for all or for one of the workers, or comes back. */
  function cutOff(): void {
    const [dice, who] = [random(), workers[Math.floor(random() * workers.length)]];
    if (weather.out || dice < 0.1) weather.out = !weather.out;
    else if (who !== undefined) who.cable.out = !who.cable.out;
  }

  async function act(): Promise<void> {
    const producer = producers[Math.floor(random() * producers.length)] ?? producers[0];
    const dice = random();
    if (producer === undefined) return;
    if (random() < climate.cuts) cutOff();
    if (dice < 0.55) pending.push(dispatch(producer));
    else if (dice < 0.62) pending.push(dispatchMany(producer));
    else if (dice < 0.72 && !climate.ordered) shift();
    else if (dice < 0.76) await operator.look();
    else if (dice < 0.8 && !climate.ordered) await operator.operate(random);
    else {
      for (const { name, recorder } of workers) {
        write([{
          op: "buffer",
          at: now(),
          name,
          size: recorder.held,
          limit: 6 + MAX_PREFETCH + MAX_UNSETTLED,
        }]);
      }
    }
  }

  for (let n = 0; n < climate.workers; n++) start(hire());

  async function drain(): Promise<boolean> {
    for (let spent = 0; spent < DRAIN; spent += 500) {
      await runtime.advance(500);
      if (await operator.live() === 0) return true;
    }
    return false;
  }

  return {
    async step() {
      await act();
      const dice = random();
      if (dice < 0.5) await runtime.advance(dice < 0.05 ? dice * 20_000 : dice * 100);
    },
    async end() {
      Object.assign(weather, { trouble: 0, out: false });
      for (const { cable } of workers) cable.out = false;
      mood.calm = true;
      // Those that run may be about to stop.
      if (!climate.ordered) start(hire());
      const drained = await drain();
      for (const { run } of workers) if (run !== undefined) pending.push(run.worker.stop({ grace: 0 }));
      await runtime.advance(20_000);
      await Promise.all(pending);
      for (const { name, counts } of workers) {
        for (const to of ["done", "again", "release", "failed", "timeout"] as const) {
          write([{ op: "metric", at: now(), process: name, to, count: counts.get(to) ?? 0 }]);
        }
      }
      await operator.close();
      const closing = [...workers, ...producers].map(({ relay }) => relay.close({ grace: 0 }));
      await runtime.advance(20_000);
      await Promise.all(closing);
      write([{ op: "stop", at: now(), process: "world", alive: runtime.sleepers }]);
      return { history: historyOf(written), drained };
    },
  };
}

/** A runtime that counts the sleeps of those who use it. */
function countSleeps(runtime: Runtime): { readonly runtime: Runtime; readonly asleep: () => number } {
  let asleep = 0;
  return {
    asleep: () => asleep,
    runtime: {
      ...runtime,
      async sleep(ms, signal) {
        asleep++;
        try {
          await runtime.sleep(ms, signal);
        } finally {
          asleep--;
        }
      },
    },
  };
}

/** Why a job is given back for later; for other reasons it is given back at once. */
const PUT_OFF: readonly string[] = ["unknown", "invalid", "version"];

/** What a relay's events say of how runs ended. */
function countEvents({ events }: Relay<typeof jobs>): Map<string, number> {
  const counts = new Map<string, number>();
  const add = (to: string): void => void counts.set(to, (counts.get(to) ?? 0) + 1);
  events.addEventListener("completed", () => add("done"));
  events.addEventListener("retrying", () => add("again"));
  events.addEventListener("rescheduled", () => add("again"));
  events.addEventListener(
    "released",
    ({ detail: { reason } }) => add(PUT_OFF.includes(reason) ? "again" : "release"),
  );
  events.addEventListener("failed", ({ detail: { channel } }) => add(channel));
  return counts;
}
