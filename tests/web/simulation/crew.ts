/** The workers of a world: hired, started, stopped, aborted, cut off and killed. */
import { MAX_PREFETCH, MAX_UNSETTLED } from "../../../src/defaults.ts";
import { running } from "../support/kit.ts";
import { type Actor, createActor } from "./actor.ts";
import type { Ground } from "./ground.ts";
import { createTask, GROUPS, QUEUES } from "./tasks.ts";

/** Handlers of one worker at once, at most. */
const CONCURRENCY = 6;

export interface Crew {
  readonly workers: readonly Actor[];
  /** A new worker begins. */
  hire(): void;
  /** Something happens to one of them; what it leads to is pushed to `pending`. */
  shift(pending: Promise<unknown>[]): void;
  /** The transport goes out for all or for one of them, or comes back. */
  cutOff(): void;
  /** Writes down how much each has in hand. */
  weigh(): void;
  /** Writes down what their events said. */
  count(): void;
}

export function createCrew(ground: Ground): Crew {
  const { climate, random, draw, weather, write, now } = ground;
  const workers: Actor[] = [];
  let names = 0;

  function start(actor: Actor): void {
    const concurrency = climate.ordered ? 1 : 1 + draw(CONCURRENCY);
    write([{ op: "run", at: now(), process: actor.name, concurrency }]);
    const run = running(actor.relay, {
      concurrency,
      lease: 300 + draw(1_500),
      poll: 50 + draw(400),
      grace: draw(200),
      abortGrace: draw(200),
      maxLost: random() < 0.3 ? 0 : 3,
      queues: QUEUES,
    });
    actor.run = run;
    run.done.finally(() => {
      actor.run = undefined;
      if (actor.alive) write([{ op: "stop", at: now(), process: actor.name, alive: actor.asleep() }]);
    }).catch(() => undefined);
  }

  function failing(): void {
    if (!ground.mood.calm) throw new Error("at once");
  }

  function hire(): void {
    const actor = createActor(`worker ${++names}`, ground);
    const handle = actor.recorder.handler(climate.instant === true ? failing : createTask(ground));
    for (const name of ["a.task", "b.task"] as const) actor.relay.handle(name, handle);
    for (const group of GROUPS) actor.relay.handle("t.task", handle, { group });
    workers.push(actor);
    start(actor);
  }

  function kill(actor: Actor, pending: Promise<unknown>[]): void {
    actor.alive = false;
    actor.cable.cut();
    workers.splice(workers.indexOf(actor), 1);
    pending.push(actor.relay.close({ grace: 0 }).catch(() => undefined));
    hire();
  }

  return {
    workers,
    hire,
    shift(pending) {
      const actor = workers[draw(workers.length)];
      if (actor === undefined) return;
      const { run } = actor;
      const fate = random();
      if (run === undefined) start(actor);
      else if (fate < 0.3) pending.push(run.abort().catch(() => undefined));
      else if (fate < 0.6) pending.push(run.worker.stop(fate < 0.45 ? {} : { grace: fate * 200 }));
      else if (climate.kills && fate < 0.8) kill(actor, pending);
    },
    cutOff() {
      const who = workers[draw(workers.length)];
      if (weather.out || random() < 0.1) weather.out = !weather.out;
      else if (who !== undefined) who.cable.out = !who.cable.out;
    },
    weigh() {
      const limit = CONCURRENCY + MAX_PREFETCH + MAX_UNSETTLED;
      for (const { name, recorder } of workers) {
        write([{ op: "buffer", at: now(), name, size: recorder.held, limit }]);
      }
    },
    count() {
      for (const { name, counts } of workers) {
        for (const to of ["done", "again", "release", "failed", "timeout"] as const) {
          write([{ op: "metric", at: now(), process: name, to, count: counts.get(to) ?? 0 }]);
        }
      }
    },
  };
}
