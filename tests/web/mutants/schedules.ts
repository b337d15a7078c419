/** Faults of schedules: how they are put, judged, paused and moved on. */
import type { Schedules } from "../../../src/contract/recurring.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { around, type Mutant } from "./mutants.ts";

/** The transport with some of its verbs upon schedules replaced. */
function scheduling(inner: Transport, part: (schedules: Schedules) => Partial<Schedules>): Transport {
  const { schedules } = inner;
  if (schedules === undefined) throw new TypeError("A fault of schedules needs a transport that has them");
  return around(inner, { schedules: { ...schedules, ...part(schedules) } });
}

const ownClock: Mutant = {
  fault: "what is due is told with the time of another clock",
  found: "what is due says what time it is by the clock that judged",
  wrap: (inner) =>
    scheduling(inner, ({ due }) => ({
      due: async (...rest) => ({ ...await due(...rest), now: 1_000 }),
    })),
};

const noteLost: Mutant = {
  fault: "putting a schedule again clears the note of its pause",
  found: "the note of a pause is kept as it is, and is no part of what put compares",
  wrap: (inner) =>
    scheduling(inner, ({ put, pause, get }) => ({
      async put(schedule, call) {
        const kept = await get(schedule.queue, schedule.key, call);
        if (kept !== undefined) await pause(kept.queue, kept.key, kept.paused, "", call);
        return await put(schedule, call);
      },
    })),
};

const noteCompared: Mutant = {
  fault: "a schedule with a note is replaced by one that is the same",
  found: "the note of a pause is kept as it is, and is no part of what put compares",
  wrap: (inner) =>
    scheduling(inner, ({ put, get }) => ({
      async put(schedule, call) {
        const kept = await get(schedule.queue, schedule.key, call);
        const answer = await put(schedule, call);
        return answer === "same" && kept?.note !== "" ? "replaced" : answer;
      },
    })),
};

const alwaysPushed: Mutant = {
  fault: "a tick whose job was refused as a duplicate is said to be pushed",
  found: "advance says that its job's id is taken, and moves the schedule on",
  wrap: (inner) =>
    scheduling(inner, ({ advance }) => ({
      async advance(...rest) {
        const answer = await advance(...rest);
        return answer === "duplicate" ? "pushed" : answer;
      },
    })),
};

const stuckOnDuplicate: Mutant = {
  fault: "a tick whose job was refused as a duplicate does not move its schedule on",
  found: "advance says that its job's id is taken, and moves the schedule on",
  wrap: (inner) =>
    scheduling(inner, ({ advance, put, get }) => ({
      async advance(queue, key, tick, ...rest) {
        const kept = await get(queue, key, rest[2]);
        const answer = await advance(queue, key, tick, ...rest);
        if (answer === "duplicate" && kept !== undefined) {
          await put({ ...kept, text: `${kept.text} ` }, rest[2]);
        }
        return answer;
      },
    })),
};

const nothingIsPushed: Mutant = {
  fault: "a tick without a job is said to be pushed",
  found: "advance without a job leaves its tick out",
  wrap: (inner) =>
    scheduling(inner, ({ advance }) => ({
      async advance(...rest) {
        const answer = await advance(...rest);
        return answer === "none" ? "pushed" : answer;
      },
    })),
};

const hidden: Mutant = {
  fault: "a queue that holds only a schedule is not listed",
  found: "a queue that holds only a schedule is listed",
  wrap: (inner) =>
    around(inner, {
      async queues(call) {
        const all = await inner.queues(call);
        const infos = await Promise.all(all.map((queue) => inner.info(queue, call)));
        return all.filter((_, n) => (infos[n]?.waiting ?? 0) > 0);
      },
    }),
};

const remembered: Mutant = {
  fault: "a queue whose only schedule was removed is listed",
  found: "a queue whose only schedule was removed is listed no more, but for one that held a job",
  wrap: (inner) => {
    const ever = new Set<string>();
    return around(inner, {
      async queues(call) {
        for (const queue of await inner.queues(call)) ever.add(queue);
        return [...ever].sort();
      },
    });
  },
};

const blindPut: Mutant = {
  fault: "a schedule is put whatever tick the stored one has",
  found: "a schedule is put in the place of another only from the tick that is named",
  wrap: (inner) =>
    scheduling(inner, ({ put }) => ({ put: ({ from: _, ...schedule }, call) => put(schedule, call) })),
};

const pushedTwice: Mutant = {
  fault: "a tick that another worker has moved on is pushed all the same",
  found: "of many who advance one tick, one does",
  wrap: (inner) =>
    scheduling(inner, ({ advance }) => ({
      async advance(queue, key, tick, next, job, call) {
        const answer = await advance(queue, key, tick, next, job, call);
        if (answer === "stale" && job !== undefined) {
          await inner.push([{ ...job, id: `${job.id} again`, idWindow: undefined }], call);
        }
        return answer;
      },
    })),
};

const restless: Mutant = {
  fault: "a paused schedule is advanced",
  found: "a paused schedule is never due and not advanced, and goes on with its tick",
  wrap: (inner) =>
    scheduling(inner, ({ advance, pause }) => ({
      async advance(queue, key, tick, next, job, call) {
        await pause(queue, key, false, "", call);
        return await advance(queue, key, tick, next, job, call);
      },
    })),
};

/** All of them. */
export const SCHEDULE_MUTANTS: readonly Mutant[] = [
  ownClock,
  noteLost,
  noteCompared,
  alwaysPushed,
  stuckOnDuplicate,
  nothingIsPushed,
  hidden,
  remembered,
  blindPut,
  pushedTwice,
  restless,
];
