/**
 * Recurring jobs: how late a lone tick is, how long many that are due at one instant take, and what a worker that idles
 * beside many schedules costs.
 *
 * @module
 */

import { setTimeout } from "node:timers/promises";
import type { Recurring } from "../contenders/contender.ts";
import { median, quantile } from "../lib/stats.ts";
import { meterOf } from "../servers/meter.ts";
import type { Figures, Setting } from "./workload.ts";

/** Milliseconds between two ticks of a lone schedule. */
const PERIOD = 250;
/** Milliseconds until schedules that are put for later are due: not while anything is measured. */
const LATER = 86_400_000;
/** Milliseconds from the last schedule put to the instant at which all are due. */
const LEAD = 2_000;
/** Milliseconds in which a worker has read, once, what is to be known of the schedules. */
const WARM = 5_000;
/** Milliseconds that one schedule takes to be put, at most. */
const PUT = 20;

async function opened({ contender, place }: Setting): Promise<Recurring> {
  if (contender.recurring === undefined) throw new Error("This contender knows no schedules");
  return await contender.recurring(place());
}

/** From a tick to the moment at which its job is known to be stored: of a lone schedule, and of many due at once. */
export async function ticks(setting: Setting): Promise<Figures> {
  const [samples, many] = [setting.count("samples"), setting.count("many")];
  const subject = await opened(setting);
  const late: number[] = [];
  let due = Infinity;
  let last = 0;
  let rest = many;
  const { promise: enough, resolve: haveEnough } = Promise.withResolvers<void>();
  const { promise: all, resolve: haveAll } = Promise.withResolvers<void>();
  const stop = await subject.listen((tick) => {
    if (tick === due) {
      last = Date.now();
      if (--rest === 0) haveAll();
    } else if (late.push(Date.now() - tick) === samples) haveEnough();
  });
  await subject.put(1, Date.now() + PERIOD, PERIOD);
  await enough;
  await stop();
  due = Date.now() + LEAD + many * PUT;
  await subject.put(many, due, LATER);
  const again = await subject.listen(() => {});
  await all;
  await again();
  await subject.close();
  return {
    "lone tick p50 ms": median(late.slice(0, samples)),
    "lone tick p99 ms": quantile(late.slice(0, samples), 0.99),
    [`${many} at once, ms`]: last - due,
  };
}

/** What a worker costs that waits for jobs beside so many schedules, none of which is due. */
export async function beside(setting: Setting): Promise<Figures> {
  const [schedules, options] = [setting.count("schedules"), setting.place()];
  const subject = await opened({ ...setting, place: () => options });
  await subject.put(schedules, Date.now() + LATER, LATER);
  const stop = await subject.listen(() => {});
  const meter = options.address && await meterOf(options.address);
  await setTimeout(WARM);
  const [start, before, first] = [performance.now(), process.cpuUsage(), await meter?.read()];
  await setTimeout(setting.count("ms"));
  const [last, { user, system }] = [await meter?.read(), process.cpuUsage(before)];
  const ms = performance.now() - start;
  await stop();
  await meter?.close();
  await subject.close();
  return {
    [`${schedules} schedules, % of a core`]: (user + system) / 1_000 / ms * 100,
    ...first && last && {
      [`${schedules} schedules, requests/s`]: (last.requests - first.requests) / ms * 1_000,
    },
  };
}
