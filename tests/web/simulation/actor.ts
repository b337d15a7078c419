/** Somebody in a world: a relay of its own, with a cable of its own to the one store. */
import { createRelay, type Relay } from "../../../mod.ts";
import type { Runtime } from "../../../src/runtime.ts";
import type { Running } from "../support/kit.ts";
import { countingSleeps } from "../support/sleeps.ts";
import { filteredJobs, watchingOrder } from "./filters.ts";
import { type Cable, createCable } from "./flaky.ts";
import type { Ground } from "./ground.ts";
import { passingOn } from "./middlewares.ts";
import { createRecorder, type Recorder } from "./recorder.ts";
import { GROUPS, jobs, TOPIC } from "./tasks.ts";

/** How long one call may take. */
const CALL = 1_000;
/** Why a job is given back for later; for other reasons it is given back at once. */
const PUT_OFF: readonly string[] = ["unknown", "invalid", "version", "suspect"];

export interface Actor {
  readonly name: string;
  readonly relay: Relay<typeof jobs>;
  readonly cable: Cable;
  readonly recorder: Recorder;
  /** Sleeps of this relay that have not ended. */
  readonly asleep: () => number;
  /** What its events say of how runs ended. */
  readonly counts: ReadonlyMap<string, number>;
  /** It was not killed; the dead write nothing down. */
  alive: boolean;
  run: Running | undefined;
}

export function createActor(name: string, ground: Ground): Actor {
  const { store, runtime, random, weather, climate, now, write, leaseEnd } = ground;
  const cable = createCable(store, runtime, random, weather);
  const counted = countSleeps(runtime);
  const recorder = createRecorder({
    process: name,
    now,
    write: (lines) => actor.alive && write(lines),
    until: leaseEnd,
    ordered: climate.ordered,
    targets: (queue) => queue === TOPIC ? GROUPS.map((group) => TOPIC + group) : [queue],
  });
  const recorded = recorder.transport(cable.transport);
  const note = (fault: string): void => void ground.faults.push(fault);
  const watched = climate.ordered && climate.filters ? watchingOrder(recorded, note) : recorded;
  const relay = createRelay({
    jobs: climate.filters ? filteredJobs(ground) : jobs,
    transport: climate.plant?.(watched) ?? watched,
    runtime: counted.runtime,
    callTimeout: CALL,
    use: [...climate.use ?? [], ...climate.middlewares ? passingOn(ground) : []],
  });
  const counts = countEvents(relay);
  const actor: Actor = {
    name,
    relay,
    cable,
    recorder,
    asleep: counted.asleep,
    counts,
    alive: true,
    run: undefined,
  };
  return actor;
}

/** A runtime that counts the sleeps of those who use it. */
function countSleeps(runtime: Runtime): { readonly runtime: Runtime; readonly asleep: () => number } {
  let asleep = 0;
  return { asleep: () => asleep, runtime: countingSleeps(runtime, (change) => asleep += change) };
}

function countEvents({ events }: Relay<typeof jobs>): ReadonlyMap<string, number> {
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
