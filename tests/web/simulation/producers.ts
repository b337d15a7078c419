/** The producers of a world: they dispatch jobs of all kinds, and some of them again. */
import { type DispatchOptions, OutcomeUnknown } from "../../../mod.ts";
import { type Actor, createActor } from "./actor.ts";
import type { Ground } from "./ground.ts";
import { NAMES, OWN } from "./tasks.ts";

export interface Producers {
  readonly actors: readonly Actor[];
  /** One of them dispatches a job; one that may or may not be stored is sometimes sent again. */
  one(): Promise<void>;
  /** One of them dispatches several at once. */
  many(): Promise<void>;
}

export function createProducers(ground: Ground): Producers {
  const { climate, random, draw } = ground;
  const names = climate.ordered ? ["producer"] : ["producer 1", "producer 2"];
  const actors = names.map((name) => createActor(name, ground));
  let count = 0;

  function relay(): Actor["relay"] {
    const actor = actors[draw(actors.length)];
    if (actor === undefined) throw new Error("There is no producer");
    return actor.relay;
  }

  function nameOf(): (typeof NAMES)[number] {
    return NAMES[draw(NAMES.length)] ?? "a.task";
  }

  function optionsOf(name: string): DispatchOptions {
    if (climate.ordered) return {};
    const [own, delayed, timed, drawn] = [random(), random(), random(), draw(12)];
    // Whether an id is free is known of one queue, and not of the groups of a topic together.
    const again = own < 0.3 && name !== "t.task";
    return {
      // The lines of an id speak of one job: those that share one are equal in what they ask for.
      maxAttempts: 1 + drawn % 4,
      ...(again ? { id: `${OWN}${drawn}`, idWindow: own < 0.1 ? 0 : 3_000 + Math.floor(own * 9_000) } : {}),
      ...(delayed < 0.2 && !again ? { delay: Math.floor(delayed * 10_000) } : {}),
      ...(timed < 0.2 && !climate.filters ? { timeout: 1 + Math.floor(timed * 400) } : {}),
      ...(timed > 0.8 ? { headers: { drawn: `${timed}` } } : {}),
    };
  }

  return {
    actors,
    async one() {
      const producer = relay();
      const name = nameOf();
      const options = optionsOf(name);
      const payload = { n: ++count };
      try {
        await producer.dispatch(name, payload, options);
      } catch (error) {
        const unsure = error instanceof OutcomeUnknown && options.id !== undefined;
        if (unsure && random() < 0.7) await producer.dispatch(name, payload, options).catch(() => undefined);
      }
    },
    async many() {
      const jobs = Array.from({ length: 1 + draw(20) }, () => {
        const name = nameOf();
        return { name, payload: { n: ++count }, ...optionsOf(name) };
      });
      await relay().dispatchMany(jobs, { atomic: random() < 0.3 }).catch(() => undefined);
    },
  };
}
