/** What schedule and sync take. */
import * as v from "valibot";
import { after, createRelay, every, type ListedSchedule, type Scheduled } from "../../mod.ts";
import { cron } from "../../src/cron/mod.ts";
import { holds, type Same } from "./support.ts";

const jobs = {
  report: v.object({ of: v.string() }),
  cleanup: v.undefined(),
};
const relay = createRelay({ jobs, recurrences: [cron] });
const when = every(1_000);

const scheduled = relay.schedule("report", { of: "sales" }, {
  when,
  missed: "all",
  overlap: "skip",
  jitter: 5,
});
holds<Same<Awaited<typeof scheduled>, Scheduled>>();
await relay.schedule("cleanup", undefined, { when: cron("@daily", { timeZone: "Europe/Berlin" }) });
// @ts-expect-error: there is no such job
await relay.schedule("reports", { of: "sales" }, { when });
// @ts-expect-error: the payload is another
await relay.schedule("report", { of: 5 }, { when });
// @ts-expect-error: a schedule has a recurrence
await relay.schedule("report", { of: "sales" }, {});
// @ts-expect-error: that cannot be written down
await relay.schedule("report", { of: "sales" }, { when: after(5) });
// @ts-expect-error: its jobs have ids of their own
await relay.schedule("report", { of: "sales" }, { when, id: "x" });
// @ts-expect-error: there is no such word
await relay.schedule("report", { of: "sales" }, { when, missed: "never" });

const list: ListedSchedule<typeof jobs>[] = [
  { name: "report", payload: { of: "sales" }, when },
  { name: "cleanup", when },
];
await relay.schedules.sync(list, { owner: "app" });
// @ts-expect-error: the payload is missing
await relay.schedules.sync([{ name: "report", when }], { owner: "app" });
// @ts-expect-error: a list has an owner
await relay.schedules.sync(list);
