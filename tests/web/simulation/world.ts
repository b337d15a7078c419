/**
 * A world: producers, workers and an operator on one memory transport, moved step by step by one die. The same seed is
 * the same history.
 */
import type { HistoryLine } from "../../../src/testing/mod.ts";
import { createCrew } from "./crew.ts";
import { type Climate, createGround } from "./ground.ts";
import { createOperator } from "./operator.ts";
import { createProducers } from "./producers.ts";
import { historyOf } from "./recorder.ts";

/** Milliseconds in which everything that waits is done once nothing goes wrong any more, and between two looks at it. */
const DRAIN = 120_000;
const LOOK = 500;
/** Milliseconds in which everything that was told to end has ended. */
const ENDED = 20_000;

/** A world in motion. */
export interface World {
  step(): Promise<void>;
  /** Ends all trouble, lets everything drain, and returns the history; `drained`: nothing was left to be done. */
  end(): Promise<
    {
      readonly history: readonly HistoryLine[];
      readonly drained: boolean;
      readonly faults: readonly string[];
    }
  >;
}

export async function createWorld(seed: number, climate: Climate): Promise<World> {
  const ground = await createGround(seed, climate);
  const { runtime, random, weather, mood, store, now, write, written } = ground;
  const operator = createOperator(store, now, write);
  const producers = createProducers(ground);
  const crew = createCrew(ground);
  const pending: Promise<unknown>[] = [];
  for (let n = 0; n < climate.workers; n++) crew.hire();

  async function act(): Promise<void> {
    const dice = random();
    if (random() < climate.cuts) crew.cutOff();
    if (dice < 0.55) pending.push(producers.one());
    else if (dice < 0.62) pending.push(producers.many());
    else if (dice < 0.72 && !climate.ordered) crew.shift(pending);
    else if (dice < 0.76) await operator.look();
    else if (dice < 0.8 && !climate.ordered) await operator.operate(random);
    else crew.weigh();
  }

  function calm(): void {
    Object.assign(weather, { trouble: 0, out: false });
    for (const { cable } of crew.workers) cable.out = false;
    mood.calm = true;
    // Those that run may be about to stop.
    if (!climate.ordered) crew.hire();
  }

  async function drain(): Promise<boolean> {
    for (let spent = 0; spent < DRAIN; spent += LOOK) {
      await runtime.advance(LOOK);
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
      calm();
      const drained = await drain();
      for (const { run } of crew.workers) if (run !== undefined) pending.push(run.worker.stop({ grace: 0 }));
      await Promise.all([...pending, runtime.advance(ENDED)]);
      crew.count();
      await operator.close();
      const closing = [...crew.workers, ...producers.actors].map(({ relay }) => relay.close({ grace: 0 }));
      await Promise.all([...closing, runtime.advance(ENDED)]);
      write([{ op: "stop", at: now(), process: "world", alive: runtime.sleepers }]);
      return { history: historyOf(written), drained, faults: ground.faults };
    },
  };
}
