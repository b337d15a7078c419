/** What events tell, and what workers take. */
import * as v from "valibot";
import { createRelay, type EventMap, type EventName, exponential, type RunDetail } from "../../mod.ts";
import { holds, type Same } from "./support.ts";

const relay = createRelay({ jobs: { task: v.number() } });
const { events } = relay;

// The detail is that of the event's name.
events.addEventListener(
  "completed",
  ({ detail }) => detail.duration.toFixed() + detail.job.id + detail.attempt,
);
// @ts-expect-error: nothing is delayed
events.addEventListener("completed", ({ detail }) => detail.delay);

// A failure's detail.
events.addEventListener(
  "failed",
  ({ detail: { error, reason, channel } }) => error.message + reason + channel,
);
// @ts-expect-error: a channel is no number
events.addEventListener("failed", ({ detail }) => detail.channel.toFixed());

// A name that there is.
events.addEventListener("connection", ({ detail }) => detail.state === "down" && detail.error?.message);
// @ts-expect-error: there is no such event
events.addEventListener("conection", () => undefined);

// States that there are.
events.addEventListener("connection", ({ detail }) => detail.state === "up");
// @ts-expect-error: there is no such state
events.addEventListener("connection", ({ detail }) => detail.state === "lost");

// Details are read-only.
events.addEventListener("lost", ({ detail }) => detail.lost + 1);
// @ts-expect-error: it cannot be written
events.addEventListener("lost", ({ detail }) => void (detail.lost = 0));

// A listener for any event, by the map.
function tell<Name extends EventName>(name: Name, show: (detail: EventMap[Name]) => void): void {
  events.addEventListener(name, ({ detail }) => show(detail));
  // @ts-expect-error: the event is no detail
  events.addEventListener(name, (event) => show(event));
}

tell("idle", ({ queues }) => queues.join());
// @ts-expect-error: that is what another event tells
tell("idle", ({ duration }) => duration);

// Events of runs have the run.
holds<Same<EventMap["started"], RunDetail & { readonly wait: number }>>();
holds<EventMap["completed"] extends RunDetail ? true : false>();
// @ts-expect-error: an idle worker has no run
holds<EventMap["idle"] extends RunDetail ? true : false>();

// A worker's options.
relay.worker({ concurrency: 16, poll: 1_000, backoff: exponential(5_000), maxRetry: 3, unknown: "drop" });
// @ts-expect-error: maxAttempts is a job's
relay.worker({ maxAttempts: 3 });

// A worker's backoff may be a function.
relay.worker({ backoff: ({ attempts, lastDelay }) => attempts * 1_000 + lastDelay });
// @ts-expect-error: there is no such field
relay.worker({ backoff: ({ retries }) => retries });

// Bounds are those of a drain.
await relay.drain({ limit: 5, budget: 1_000, concurrency: 2 });
// @ts-expect-error: a run is not bounded
await relay.run({ limit: 5 });

// Dead channels only can be reloaded.
await relay.reload("default", "failed", { ids: ["1"] }, { attempts: "reset" });
// @ts-expect-error: waiting jobs are not dead
await relay.reload("default", "waiting", "all");
