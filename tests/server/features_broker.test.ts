import { describe } from "vitest";
import { fromBroker } from "../../mod.ts";
import { createFakeRuntime } from "../../src/testing/mod.ts";
import { FEATURES } from "../web/features/features.ts";
import { competing, subscribed } from "../web/support/bare_brokers.ts";
import { makePlace } from "../web/support/place.ts";

describe("F041, W07: on a bare broker", () => {
  for (const feature of FEATURES) {
    feature(() => {
      const runtime = createFakeRuntime();
      const only = subscribed(fromBroker({ ...competing(), runtime }));
      return makePlace({ runtime, connect: () => only });
    });
  }
});
