import { createRelay } from "../../../mod.ts";

const anything = {
  "~standard": { version: 1, vendor: "here", validate: (value: unknown) => ({ value }) },
} as const;

/** A relay made in a request, as an invocation of a worker does it. */
export default {
  async test(): Promise<void> {
    const handled: unknown[] = [];
    const relay = createRelay({ jobs: { n: anything } });
    relay.handle("n", (value) => void handled.push(value));
    for (let i = 0; i < 3; i++) await relay.dispatch("n", i);
    await relay.drain({ limit: 10 });
    if (handled.join() !== "0,1,2") throw new Error(`Handled ${handled.join()} instead of 0,1,2`);
  },
};
