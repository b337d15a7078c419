/** The features' own checks, as FEATURES states them; each group runs on every transport that has a place. */
import type { OpenPlace } from "../support/place.ts";
import { channels } from "./channels.ts";
import { dispatching } from "./dispatching.ts";
import { driving } from "./driving.ts";
import { events } from "./events.ts";
import { failing } from "./failing.ts";
import { listeners } from "./listeners.ts";
import { outcomes } from "./outcomes.ts";
import { payloads } from "./payloads.ts";
import { schedules } from "./schedules.ts";
import { topics } from "./topics.ts";
import { workers } from "./workers.ts";

export const FEATURES: readonly ((open: OpenPlace) => void)[] = [
  payloads,
  dispatching,
  driving,
  channels,
  workers,
  topics,
  schedules,
  failing,
  events,
  listeners,
  outcomes,
];
