import { describe } from "vitest";
import { memoryPlace } from "../support/place.ts";
import { FEATURES } from "./features.ts";

describe("on memory", () => {
  for (const feature of FEATURES) feature(memoryPlace);
});
