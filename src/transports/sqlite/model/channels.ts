/**
 * How channels, which depend on the clock, are found among states, which do not: a delayed job whose time came waits.
 *
 * @module
 */

import type { Channel } from "../../../jobs/job.ts";
import { integerOf, type Row } from "../engine/driver.ts";
import { BACK, DELAYED, FAILED, RESERVED, TIMEOUT, WAITING } from "./schema.ts";

/** A part of a channel that lies in one piece of the index. */
export interface Stretch {
  readonly state: number;
  /** Which side of now: a condition on `time` with the parameter `?2`; none: all. */
  readonly time: "" | "AND time <= ?2" | "AND time > ?2";
}

const DUE: Stretch = { state: DELAYED, time: "AND time <= ?2" };

/** The stretches of each channel, in the order in which its jobs come. */
export const STRETCHES: Readonly<Record<Channel, readonly Stretch[]>> = {
  waiting: [{ state: BACK, time: "" }, { state: WAITING, time: "" }, DUE],
  delayed: [{ state: DELAYED, time: "AND time > ?2" }],
  reserved: [{ state: RESERVED, time: "" }],
  failed: [{ state: FAILED, time: "" }],
  timeout: [{ state: TIMEOUT, time: "" }],
};

/** The channel of a row. */
export function channelOf(state: number, time: number, now: number): Channel {
  switch (state) {
    case DELAYED:
      return time <= now ? "waiting" : "delayed";
    case RESERVED:
      return "reserved";
    case FAILED:
      return "failed";
    case TIMEOUT:
      return "timeout";
    default:
      return "waiting";
  }
}

/** The order of an index's stretch, for rows of several. */
export function byTime(a: Row, b: Row): number {
  return integerOf(a.time) - integerOf(b.time) || integerOf(a.seq) - integerOf(b.seq);
}
