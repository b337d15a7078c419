import { createRelay } from "../../../mod.ts";

const anything = {
  "~standard": { version: 1, vendor: "here", validate: (value: unknown) => ({ value }) },
} as const;

/** One-shots follow one another: what is not due stays for the next. */
export default {
  async test(): Promise<void> {
    const handled: unknown[] = [];
    const relay = createRelay({ jobs: { n: anything } });
    relay.handle("n", (value) => void handled.push(value));
    await relay.dispatch("n", "late", { delay: 3_600_000 });
    await relay.dispatch("n", "now");
    await relay.drain({ limit: 10 });
    await relay.drain({ limit: 10 });
    if (handled.join() !== "now") throw new Error(`Handled ${handled.join()} instead of now`);
  },
};
