// Run it: npm install, then node examples/seeds/003-jobs.ts on Node 22.18 or later, or npx tsx examples/seeds/003-jobs.ts on an older one.
// Seed 003's jobs, listeners and options, each as an adapter of a few lines.
import * as v from "valibot";
import { type BulkJob, createRelay, type HandlerContext, type JobSettings } from "../../mod.ts";

const jobs = { example: v.string(), string: v.string(), number: v.number() };
const relay = createRelay({ jobs, inline: true });
const queued = createRelay({ jobs, log: false });

/** A job is any object that says its type and its data; one that decorates itself says its options too. */
interface Job {
  type(): keyof typeof jobs;
  data(): unknown;
  defer?(): number;
  decorate?(settings: { maxAttempts?: number }): void;
}

/** `JobFrom`: the type of a value is the job's. */
const jobFrom = (value: string | number): Job => ({
  type: () => typeof value === "number" ? "number" : "string",
  data: () => value,
});

/** `Adjust`: a job with options; those that are left out have their defaults. */
const adjust = (job: Job, ...options: readonly JobSettings[]): BulkJob<typeof jobs> => {
  const decorated: { maxAttempts?: number } = {};
  job.decorate?.(decorated);
  const own = job.defer === undefined ? decorated : { ...decorated, delay: job.defer() };
  // The type of a job that says its name at run time is checked by its schema, then.
  return { name: job.type(), payload: job.data(), ...Object.assign(own, ...options) } as BulkJob<typeof jobs>;
};

/** `Handler`: an object that says which job it listens to, and processes it. */
interface Listener {
  listen(): Job;
  process(job: unknown, context: HandlerContext): unknown;
}

/** `ListenFunc`: the same as a function. */
const listen = (job: Job, process: Listener["process"]): Listener => ({ listen: () => job, process });
const subscribe = (to: Pick<typeof relay, "handle">, listener: Listener): Disposable =>
  to.handle(listener.listen().type(), (data, context) => void listener.process(data, context));

// The synchronous dispatcher runs listeners in the caller.
subscribe(relay, listen(jobFrom(0), (data) => console.log(data)));
subscribe(relay, listen(jobFrom(""), (data) => console.log(data)));
await relay.dispatchMany([adjust(jobFrom(100))]);
await relay.dispatchMany([adjust(jobFrom("Job"))]);

// The queue stores them: "foo" at once, "bar" in an hour.
const example = (data: string): Job => ({ type: () => "example", data: () => data });
subscribe(queued, { listen: () => example(""), process: (data) => console.log(data) });
await queued.dispatchMany([adjust(example("foo")), adjust(example("bar"), { delay: 3_600_000 })]);
await queued.drain();

// A job that decorates itself, and one with three options.
const selfish: Job = {
  ...example("baz"),
  defer: () => 60_000,
  decorate: (settings) => void (settings.maxAttempts = 2),
};
await queued.dispatchMany([
  adjust(selfish),
  adjust(example("qux"), { id: "a" }, { maxAttempts: 5 }, { delay: 120_000 }),
]);
const delayed = (await queued.list("default", "delayed")).jobs;
for (const { id, maxAttempts } of delayed) {
  console.log(`${id === "a" ? "a" : "generated"}: ${maxAttempts ?? "default"}`);
}
await relay.close();
await queued.close();
