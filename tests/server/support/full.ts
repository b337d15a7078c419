/**
 * A store that is full: it is filled while every run fails, and then every run succeeds. One worker lives through all of
 * it, and in the end all that was stored is done.
 */
import { expect } from "vitest";
import { createRelay, fixed, type Transport, TransportFull } from "../../../mod.ts";
import { free, heard, running } from "../../web/support/kit.ts";

/** Milliseconds for which every run fails, and jobs are dispatched, from the first that is refused; and until it is, at most. */
const FAILING = 3_000;
const FILLING = 100_000;
/** Milliseconds in which everything must be done when runs succeed. */
const PATIENCE = 120_000;
/** What errors of the runs that fail say: it is stored with each job, and fills what is left. */
const WORDS = "it is all in vain ".repeat(400);
/** Bytes of a payload: small, so that more jobs fail than a worker may have settlements under way. */
const PAYLOAD = 100;
/** Dispatches at a time. */
const BURST = 200;

/** Fills a store, empties it again by the same worker, and says how many jobs it held. */
export async function fillAndEmpty(transport: Transport): Promise<number> {
  const jobs = { task: { schema: free<string>(), maxAttempts: 1_000_000, backoff: fixed(100) } };
  const relay = createRelay({ jobs, transport, log: false });
  const stored = new Set<string>();
  const done = new Set<string>();
  let failing = true;
  relay.handle("task", (_, { job }) => {
    if (failing) throw new Error(WORDS);
    done.add(job.id);
  });
  const stale = heard(relay.events, "stale");
  const worker = running(relay, { concurrency: 100, poll: 200 });
  try {
    const refused = await fill((payload) => relay.dispatch("task", payload), stored);
    expect(refused, "dispatches that were refused").toBeGreaterThan(0);
    failing = false;
    await emptied(() => relay.info());
    expect(stored.difference(done), "stored and never done").toEqual(new Set());
    expect(await relay.info()).toMatchObject({ failed: 0, timeout: 0 });
    expect(worker.ended, "the worker ended").toBe(false);
    expect(stale, "deliveries that were lost").toEqual([]);
    expect(await relay.dispatch("task", "and again")).toMatchObject({ status: "stored" });
    await emptied(() => relay.info());
  } finally {
    await worker.abort();
    await relay.close();
  }
  return stored.size;
}

/** Dispatches for as long as runs fail; how many dispatches were refused, each as it must be. */
async function fill(
  dispatch: (payload: string) => Promise<{ readonly id: string }>,
  stored: Set<string>,
): Promise<number> {
  let end = performance.now() + FILLING;
  let refused = 0;
  while (performance.now() < end) {
    const answers = await Promise.allSettled(
      Array.from({ length: BURST }, () => dispatch("x".repeat(PAYLOAD))),
    );
    for (const answer of answers) {
      if (answer.status === "fulfilled") stored.add(answer.value.id);
      else {
        expect(answer.reason).toBeInstanceOf(TransportFull);
        if (refused++ === 0) end = performance.now() + FAILING;
      }
    }
    // One who is refused comes again a moment later.
    await new Promise((resolve) => setTimeout(resolve, refused > 0 ? 20 : 0));
  }
  return refused;
}

async function emptied(
  info: () => Promise<{ readonly waiting: number; readonly delayed: number; readonly reserved: number }>,
): Promise<void> {
  const left = async (): Promise<number> => {
    const { waiting, delayed, reserved } = await info();
    return waiting + delayed + reserved;
  };
  await expect.poll(left, { timeout: PATIENCE, interval: 50 }).toBe(0);
}
