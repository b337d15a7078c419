import { describe } from "vitest";
import { fromBroker } from "../../../mod.ts";
import { createFakeRuntime } from "../../../src/testing/mod.ts";
import { competing, subscribed } from "../support/bare_brokers.ts";
import { makePlace } from "../support/place.ts";
import { FEATURES } from "./features.ts";

describe("F041, W07: on a bare broker", () => {
  for (const feature of FEATURES) {
    feature(() => {
      const runtime = createFakeRuntime();
      const only = subscribed(fromBroker({ ...competing(), runtime }));
      return makePlace({ runtime, connect: () => only });
    });
  }
});
