import { describe } from "vitest";
import { fromBroker } from "../../mod.ts";
import { createFakeRuntime } from "../../src/testing/mod.ts";
import { FEATURES } from "../web/features/features.ts";
import { schedules } from "../web/features/schedules.ts";
import { competing, subscribed } from "../web/support/bare_brokers.ts";
import { makePlace } from "../web/support/place.ts";

describe("F041, W07: on a bare broker", () => {
  // A bridge to a broker stores no schedules.
  for (const feature of FEATURES.filter((each) => each !== schedules)) {
    feature(() => {
      const runtime = createFakeRuntime();
      const only = subscribed(fromBroker({ ...competing(), runtime }));
      return makePlace({ runtime, connect: () => only });
    });
  }
});
