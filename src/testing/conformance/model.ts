/**
 * A transport that is too small to be wrong, to be compared with a real one. No time goes by in it.
 *
 * @module
 */

import type { Reloaded } from "../../jobs/exchange.ts";
import { type Channel, CHANNELS, type DeadChannel } from "../../jobs/job.ts";
import { counted, type Counts, type Ending } from "./lab.ts";

/** A job in the model. */
export interface ModelJob {
  readonly id: string;
  readonly queue: string;
  channel: Channel;
  meta: string;
  reset: boolean;
  token: string | undefined;
  /** Orders deaths. */
  died: number;
}

/** The verbs of the model. */
export interface Model {
  /** A number, and a text, that it never gave before. */
  next(): number;
  inChannel(queue: string, channel: Channel): ModelJob[];
  live(queue: string, id: string): boolean;
  held(queue: string, token: string): ModelJob | undefined;
  add(queue: string, id: string, channel: Channel, meta: string): void;
  settle(job: ModelJob, ending: Ending): void;
  reload(queue: string, channel: DeadChannel, reset: boolean): Reloaded;
  /** How many were removed; without an id all of the channel. */
  remove(queue: string, channel: Channel, id: string | undefined): number;
  counts(queue: string): Counts;
}

/** Makes an empty model. */
export function createModel(): Model {
  const jobs = new Set<ModelJob>();
  let clock = 0;

  const inChannel: Model["inChannel"] = (queue, channel) =>
    [...jobs].filter((one) => one.queue === queue && one.channel === channel);
  const live: Model["live"] = (queue, id) =>
    [...jobs].some((one) => one.queue === queue && one.id === id && !isDead(one.channel));

  function settle(job: ModelJob, ending: Ending): void {
    job.token = undefined;
    if (!("meta" in ending)) {
      if (ending.to === "done") jobs.delete(job);
      else job.channel = "waiting";
      return;
    }
    const delayed = ending.to === "again" && ending.delay !== undefined;
    const channel = ending.to === "again" ? delayed ? "delayed" : "waiting" : ending.to;
    Object.assign(job, { channel, meta: ending.meta, died: ++clock, reset: false });
  }

  function reload(queue: string, channel: DeadChannel, reset: boolean): Reloaded {
    const answer = { reloaded: 0, taken: 0 };
    for (const job of inChannel(queue, channel).sort((a, b) => a.died - b.died)) {
      const taken = live(queue, job.id);
      answer[taken ? "taken" : "reloaded"]++;
      if (!taken) Object.assign(job, { channel: "waiting", reset });
    }
    return answer;
  }

  return {
    next: () => ++clock,
    inChannel,
    live,
    held: (queue, token) => [...jobs].find((one) => one.queue === queue && one.token === token),
    add: (queue, id, channel, meta) =>
      void jobs.add({ id, queue, channel, meta, reset: false, token: undefined, died: 0 }),
    settle,
    reload,
    remove: (queue, channel, id) => {
      const named = inChannel(queue, channel).filter((one) => id === undefined || one.id === id);
      for (const one of named) jobs.delete(one);
      return named.length;
    },
    counts: (queue) => {
      const counts: Record<Channel, number> = { ...counted() };
      for (const channel of CHANNELS) counts[channel] = inChannel(queue, channel).length;
      return counts;
    },
  };
}

function isDead(channel: Channel): boolean {
  return channel === "failed" || channel === "timeout";
}
