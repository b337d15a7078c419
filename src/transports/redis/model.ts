/**
 * The model of jobs in Redis, and every verb upon them, over a link and without any waiting.
 *
 * @module
 */

import type { Diagnosis } from "../../contract/diagnosis.ts";
import type { Call } from "../../jobs/exchange.ts";
import { createAlarms } from "../../flow/alarms.ts";
import { patiently } from "../../flow/deadline.ts";
import type { Runtime } from "../../runtime.ts";
import type { Schedules } from "../../contract/recurring.ts";
import type { Topics, Transport } from "../../contract/transport.ts";
import { restOf } from "../../store/calls.ts";
import type { Looks } from "./waiters_poll.ts";
import type { Context } from "./context.ts";
import { diagnose } from "./diagnose.ts";
import { getJobs, infoOf, listJobs } from "./inspect.ts";
import { createKeys, type Naming } from "./layout/keys.ts";
import type { Link } from "./client/link.ts";
import { reloadJobs, removeJobs } from "./admin.ts";
import { createPacker } from "./layout/pack.ts";
import { createPresence } from "./waiters_presence.ts";
import { pushJobs } from "./push.ts";
import { pushLone } from "./push_lone.ts";
import { createNames } from "./push_names.ts";
import { createRegistry } from "./layout/registry.ts";
import { attempt, MAX_QUEUES } from "./reserve.ts";
import { extendScript } from "./scripts/extend.ts";
import { heavyScripts } from "./scripts/heavy.ts";
import { inspectScripts } from "./scripts/inspect.ts";
import { adminScripts } from "./scripts/admin.ts";
import { plainScript } from "./scripts/plain.ts";
import { pushScript } from "./scripts/push.ts";
import { reserveScript } from "./scripts/reserve.ts";
import { scheduleScripts } from "./scripts/schedules.ts";
import { settleScript } from "./scripts/settle.ts";
import { spreadScript } from "./scripts/spread.ts";
import { topicScripts } from "./scripts/topics.ts";
import { presenceScripts } from "./scripts/waiters.ts";
import { createSchedules, schedulingQueues } from "./schedules.ts";
import { extendAll, settleAll } from "./settle.ts";
import { createTopics } from "./topics.ts";

/** The verbs, as {@linkcode Transport} has them; `reserve` is one poll at a time. */
export interface Model
  extends
    Looks,
    Pick<Transport, "extend" | "settle" | "info" | "queues" | "list" | "get" | "reload" | "remove"> {
  /**
   * As a transport's; this client polls foretold queues by itself. It ends by itself: a lone job is one call of the link,
   * which bounds it, and what takes several has an alarm around all of them.
   */
  push(
    ...rest: [...Parameters<Transport["push"]>, foretold?: ReadonlySet<string>]
  ): ReturnType<Transport["push"]>;
  diagnose(call: Call): Promise<Diagnosis>;
  readonly topics: Topics;
  readonly schedules: Schedules;
  /** Removes this client's consumers that hold nothing from the queues that it reserved from. */
  leave(call: Call): Promise<void>;
}

/** The parts of a model. */
export interface ModelOptions extends Naming {
  /** The transport's name, for errors. */
  readonly name: string;
  /** Tells this client from all others, past ones too: letters, digits, `-` and `_`. */
  readonly instance: string;
  readonly runtime: Runtime;
  readonly link: Link;
}

/** Makes a model. */
export function createModel(options: ModelOptions): Model {
  const { link, instance, name, runtime } = options;
  const keys = createKeys(options);
  const context: Context = {
    name,
    instance,
    runtime,
    link,
    keys,
    pack: createPacker(),
    registry: createRegistry(link, runtime, keys.queues),
    visited: new Set(),
    ahead: undefined,
    ranks: 0,
    reach: MAX_QUEUES,
    heavy: new Map(),
    names: createNames(),
    proven: new Set(),
  };
  const scripts = scriptsOf(options);
  const alarms = createAlarms(runtime);
  return {
    bell: (queue) => `${keys.key(queue, "bell")}.${instance}`,
    waiting: (queue) => keys.key(queue, "waiting"),
    next: (queue) => keys.key(queue, "next"),
    attempt: (queues, wanted) => attempt(context, scripts, queues, wanted),
    ...createPresence(context, scripts),
    push: (jobs, call, foretold) =>
      pushLone(context, scripts.pushPlain, jobs, call, foretold) ??
        patiently(alarms, "push jobs", call, pushJobs(context, scripts, jobs, call, foretold)),
    settle: (settlements, call) => settleAll(context, scripts.settle, settlements, call),
    extend: (leases, call) => extendAll(context, scripts.extend, leases, call),
    info: infoOf(context, scripts.info),
    async queues(call) {
      const held = await context.registry.names(call);
      return [...held, ...await schedulingQueues(context, held, call)].sort();
    },
    list: listJobs(context, scripts.list),
    get: getJobs(context, scripts.get),
    reload: reloadJobs(context, scripts.reload),
    remove: removeJobs(context, scripts.remove),
    diagnose: (call) => diagnose({ link, rest: restOf(runtime, "diagnose the store", call) }, keys.queues),
    topics: createTopics(context, scripts),
    schedules: createSchedules(context, scripts),
  };
}

function scriptsOf(naming: Naming) {
  return {
    push: pushScript(naming),
    pushPlain: plainScript(naming),
    pushSpread: spreadScript(naming),
    reserve: reserveScript(naming),
    ...heavyScripts(naming),
    settle: settleScript(naming),
    extend: extendScript(naming),
    ...inspectScripts(naming),
    ...adminScripts(naming),
    ...topicScripts(naming),
    ...presenceScripts(naming),
    ...scheduleScripts(naming),
  };
}
