// Run it: npm install, then node examples/seeds/003-retry.ts on Node 22.18 or later, or npx tsx examples/seeds/003-retry.ts on an older one.
// Seed 003's listener that fails twice, with its events through dispatchers of the program's own.
import * as v from "valibot";
import { createRelay, fixed, type Relay } from "../../mod.ts";

const jobs = { faulty: v.object({ value: v.string() }) };
const relay = createRelay({ jobs, log: false });
const stop = new AbortController();

/** `UseJobDispatcher`: all decoded jobs go to one dispatcher, with their type. */
function useJobDispatcher(to: Relay<typeof jobs>, dispatch: (type: string, data: unknown) => unknown): void {
  for (const name of Object.keys(jobs) as (keyof typeof jobs)[]) {
    to.handle(name, (data) => void dispatch(name, data));
  }
}

/** `UseEventDispatcher`: events of retries and aborts go to one dispatcher, by seed 003's names. */
function useEventDispatcher(
  { events }: Relay<typeof jobs>,
  dispatch: (event: string, payload: { err: Error; job: string }) => void,
): void {
  events.addEventListener(
    "retrying",
    ({ detail: { error, job } }) => dispatch("beforeRetry", { err: error, job: job.name }),
  );
  events.addEventListener(
    "failed",
    ({ detail: { error, job } }) => dispatch("beforeAbort", { err: error, job: job.name }),
  );
}

const told: string[] = [];
let count = 0;
useEventDispatcher(relay, (event, { err, job }) => void told.push(`${event} ${job} ${err.message}`));
useJobDispatcher(relay, (_, data) => {
  if (count++ < 2) {
    console.log("faulty");
    throw new Error("faulty");
  }
  console.log(v.parse(jobs.faulty, data).value);
  stop.abort();
});

await relay.dispatch("faulty", { value: "hello world" }, { maxAttempts: 3 });
await relay.run({ signal: stop.signal, backoff: fixed(10) });
console.log(told.join(", "));
await relay.close();
