/**
 * What is measured of Redis and of NATS, where a server is asked.
 *
 * @module
 */

import { type Choice, flowOf, payloadsOf, queuesOf, type Stage, type Task, taskOf as task } from "./plan.ts";

/** A contender and what it can stand. */
interface Entrant {
  readonly name: string;
  /** Jobs of a flow: about a second's. */
  readonly jobs: number;
  /** Whether it takes part in more than the flow and the latency. */
  readonly all: boolean;
  /** `false`: jobs that a worker took stay with it when it stops, so that others wait for them until they count as stalled. */
  readonly leaves?: false;
}

const REDIS: readonly Entrant[] = [
  { name: "ceiling stream", jobs: 60_000, all: false },
  { name: "relevo redis", jobs: 60_000, all: true },
  { name: "bullmq", jobs: 15_000, all: true },
  { name: "bee-queue", jobs: 20_000, all: true, leaves: false },
  { name: "groupmq", jobs: 3_000, all: false },
];

const NATS: readonly Entrant[] = [
  { name: "ceiling jetstream", jobs: 20_000, all: false },
  { name: "relevo nats", jobs: 20_000, all: true },
];

/** On Valkey those that say something of it: the same, on another server. */
const VALKEY: readonly Entrant[] = REDIS.filter(({ name }) =>
  ["ceiling stream", "relevo redis", "bullmq"].includes(name)
);

/** Queues of one worker, by contender: BullMQ has a worker for each; NATS a stream for each. */
const MOST_QUEUES: Readonly<Record<string, number>> = {
  "relevo redis": 1_000,
  "bullmq": 200,
  "relevo nats": 200,
};

/** Serial calls, with fsync every second and with one for each. */
const SERIAL = 6_000;
const SERIAL_FULL = 1_000;

/** Milliseconds by which a round trip takes longer where the server is far. */
const FAR = 1;

/** Milliseconds from the first dispatch to the due time. */
const LEAD = 20_000;

/** The plan of a run on Redis. */
export function planOfRedis(choice: Choice): readonly Stage[] {
  const always = choice.quick ? [] : [{
    rounds: 3,
    tasks: REDIS.map(({ name, jobs }) => flowOf(choice, name, "full", jobs, SERIAL_FULL)),
  }];
  return [...planOf(choice, REDIS), ...always];
}

/** The plan of a run on Valkey. */
export function planOfValkey(choice: Choice): readonly Stage[] {
  return [near(choice, VALKEY, choice.quick ? 1 : 5)];
}

/** The plan of a run on NATS. */
export function planOfNats(choice: Choice): readonly Stage[] {
  return planOf(choice, NATS);
}

function planOf(choice: Choice, entrants: readonly Entrant[]): readonly Stage[] {
  const { quick, million, minute } = choice;
  const [ours, most] = [
    entrants.filter(({ name }) => name.startsWith("relevo")),
    entrants.filter(({ all }) => all),
  ];
  const each = (some: readonly Entrant[], workload: Task["workload"], counts: Task["counts"]): Task[] =>
    some.map(({ name }) => task(workload, name, "normal", counts));
  return [
    near(choice, entrants, quick ? 3 : 7),
    far(choice, entrants),
    {
      rounds: quick ? 1 : 3,
      tasks: [
        ...each(ours, "scale", { jobs: quick ? 5_000 : 20_000 }),
        ...each(most.filter(({ leaves }) => leaves !== false), "workers", {
          jobs: quick ? 20_000 : 50_000,
          warm: 5_000,
        }),
        ...each(ours, "middleware", { jobs: quick ? 5_000 : 20_000 }),
        ...each(entrants.filter(({ name }) => name !== "groupmq"), "payload", payloadsOf(quick)),
        ...most.flatMap(({ name, jobs }) =>
          MOST_QUEUES[name] === undefined
            ? []
            : queuesOf(choice, name, "normal", Math.min(jobs, 20_000), MOST_QUEUES[name])
        ),
        ...each(entrants, "weight", { jobs: quick ? 10_000 : 50_000 }),
      ],
    },
    {
      rounds: quick ? 1 : 3,
      tasks: ours.flatMap((entrant) =>
        [10_000, ...quick ? [] : [100_000], ...million ? [1_000_000] : []].flatMap((waiting) =>
          each([entrant], "backlog", { waiting, jobs: quick ? 5_000 : 20_000 })
        )
      ),
    },
    {
      rounds: quick ? 1 : 3,
      tasks: [
        ...each(ours, "delayed", { jobs: quick ? 10_000 : 100_000, lead: LEAD }),
        // As many as a peer can dispatch in that time on a busy machine.
        ...each(most.filter((entrant) => !ours.includes(entrant)), "delayed", {
          jobs: quick ? 5_000 : 20_000,
          lead: LEAD,
        }),
      ],
    },
    {
      rounds: 1,
      tasks: [1, 20].flatMap((queues) =>
        each(most, "idle", { queues, ms: quick ? 5_000 : minute ? 60_000 : 20_000 })
      ),
    },
    {
      rounds: 1,
      tasks: [
        ...each(ours, "ticks", { samples: quick ? 20 : 100, many: 1_000 }),
        ...[1, 10_000].flatMap((schedules) =>
          each(ours, "beside", { schedules, ms: quick ? 5_000 : 20_000 })
        ),
      ],
    },
  ];
}

function near(choice: Choice, entrants: readonly Entrant[], rounds: number): Stage {
  const samples = choice.quick ? 100 : 300;
  return {
    rounds,
    tasks: [
      ...entrants.map(({ name, jobs }) => flowOf(choice, name, "normal", jobs, SERIAL)),
      ...entrants.map(({ name }) => task("latency", name, "normal", { samples })),
    ],
  };
}

/** The same with a millisecond of network in between. */
function far(choice: Choice, entrants: readonly Entrant[]): Stage {
  const [serial, samples] = choice.quick ? [100, 50] : [300, 200];
  return {
    rounds: choice.quick ? 1 : 5,
    tasks: [
      ...entrants.map(({ name, jobs }) => {
        const { contender, durability, counts } = flowOf(choice, name, "normal", jobs, serial);
        return task("far", contender, durability, { ...counts, serial, delay: FAR });
      }),
      ...entrants.map(({ name }) => task("far latency", name, "normal", { samples, delay: FAR })),
    ],
  };
}
