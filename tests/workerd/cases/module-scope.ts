import { createRelay } from "../../../mod.ts";

const anything = {
  "~standard": { version: 1, vendor: "here", validate: (value: unknown) => ({ value }) },
} as const;

/** A relay made where nothing may run: it must not start a timer or draw a random number before it is used. */
const handled: unknown[] = [];
const relay = createRelay({ jobs: { n: anything } });
relay.handle("n", (value) => void handled.push(value));

export default {
  async test(): Promise<void> {
    await relay.dispatch("n", 1);
    await relay.drain({ limit: 10 });
    if (handled.join() !== "1") throw new Error(`Handled ${handled.join()} instead of 1`);
  },
};
