import { describe } from "vitest";
import { options } from "./bad-input/options.ts";
import { payloads } from "./bad-input/payloads.ts";
import { schedules } from "./bad-input/schedules.ts";
import { stored } from "./bad-input/stored.ts";
import { topics } from "./bad-input/topics.ts";
import { memoryPlace } from "./support/place.ts";

describe("bad input, on memory", () => {
  options(memoryPlace);
  payloads(memoryPlace);
  schedules(memoryPlace);
  stored(memoryPlace);
  topics(memoryPlace);
});
