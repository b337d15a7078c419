/** What the handlers of the simulation do: as many kinds of work and of failure as a program has. */
import {
  after,
  deadLetter,
  fixed,
  type HandlerContext,
  type JobDefinition,
  reschedule,
  retry,
  type StandardSchema,
} from "../../../mod.ts";
import type { Runtime } from "../../../src/runtime.ts";
import { free } from "../support/kit.ts";

export interface Task {
  readonly n: number;
}

/** The topic's own queue, to which its jobs are pushed, and its groups, which every world has from the start. */
export const TOPIC = "t@";
export const GROUPS = ["x", "y"] as const;

/** Every queue that jobs are handled from. */
export const QUEUES = ["a", "b", "t@x", "t@y"] as const;

/** How ids begin that are used for several jobs, one after the other. */
export const OWN = "own ";

export const NAMES = ["a.task", "b.task", "t.task"] as const;

const definition = (queue: string): JobDefinition<StandardSchema<Task>> => ({
  schema: free<Task>(),
  queue,
  backoff: fixed(40),
});

export const jobs: {
  readonly "a.task": JobDefinition<StandardSchema<Task>>;
  readonly "b.task": JobDefinition<StandardSchema<Task>>;
  readonly "t.task": JobDefinition<StandardSchema<Task>>;
} = {
  "a.task": definition("a"),
  "b.task": definition("b"),
  "t.task": { ...definition("t"), topic: true },
};

/** How the handlers are at the moment. */
export interface Mood {
  /** Everything succeeds soon, so that what is left can drain. */
  calm: boolean;
}

/** Makes a handler that draws from a die what it does. */
export function createTask(
  { runtime, random, mood }: {
    readonly runtime: Runtime;
    readonly random: () => number;
    readonly mood: Mood;
  },
): (task: Task, context: HandlerContext) => Promise<unknown> {
  return async (_, { signal }) => {
    const [kind, length, patience] = [random(), random(), random()];
    const ms = mood.calm ? length * 5 : length < 0.85 ? length * 40 : length * 4_000;
    if (ms > 2) await runtime.sleep(ms, patience < 0.5 ? signal : undefined);
    else if (patience < 0.5) await Promise.resolve();
    if (mood.calm || kind < 0.6) return undefined;
    if (kind < 0.76) throw new Error("drawn");
    if (kind < 0.82) return retry({ delay: length * 300 });
    if (kind < 0.86) return deadLetter({ reason: "drawn" });
    if (kind < 0.92) return reschedule(after(length * 500), { keepAttempts: patience < 0.5 });
    return { any: "value" };
  };
}
