/**
 * The operator's calls: look at queues, bring dead jobs back, remove jobs.
 *
 * @module
 */

import { MAX_PAGE, PAGE, PREVIEW } from "../defaults.ts";
import { type Diagnosis, unseen } from "../contract/diagnosis.ts";
import type { Call, Entry, Page, Reloaded, Selection } from "../jobs/exchange.ts";
import {
  type Channel,
  CHANNELS,
  DEAD_CHANNELS,
  type DeadChannel,
  type QueueInfo,
  type StoredJob,
} from "../jobs/job.ts";
import { checkPlace, checkSelection } from "../guard/checks.ts";
import { checkAnyId, checkQueueName } from "../names.ts";
import { checkInteger, checkKnown, checkSignal, checkWord } from "../options.ts";
import type { PayloadFault } from "../payload/stored_payload.ts";
import type { Transport } from "../contract/transport.ts";
import type { KnownQueues } from "../worker/known_queues.ts";

/** The bounds of an operator's call. */
export interface AdminOptions {
  /** Ends the call: it rejects with the signal's reason. Default: only the relay's `callTimeout` does. */
  readonly signal?: AbortSignal | undefined;
}

/** Which page of a listing. */
export interface ListOptions extends AdminOptions {
  /** Jobs of one page, 1 to 1,000. Default 100. */
  readonly limit?: number | undefined;
  /** The `cursor` of the page before. Default: the first page. */
  readonly cursor?: string | undefined;
}

/** A page of a listing. */
export interface JobPage {
  /** At most `limit` of them; an empty page is the last one. */
  readonly jobs: readonly StoredJob[];
  /** Asks for the next page; absent on the last. */
  readonly cursor?: string;
}

/** A page of a channel whose payloads were tried. */
export interface ValidatedPage {
  /** Jobs whose payloads were tried. */
  readonly checked: number;
  /** Those that no handler of these definitions would get. */
  readonly faults: readonly PayloadFault[];
  /** Asks for the next page; absent on the last. */
  readonly cursor?: string;
}

/** How dead jobs come back. */
export interface ReloadOptions extends AdminOptions {
  /**
   * `keep`: attempts go on counting, and a job that has used them up gets one more run. `reset`: they count from 1
   * again. Default `keep` (seed 003).
   */
  readonly attempts?: "keep" | "reset" | undefined;
}

/**
 * The operator's part of a relay. A queue that no definition, no handler and no job in the store names is an
 * `UnknownQueueError`: a misspelt one would look like one that is empty.
 */
export interface Admin {
  /** How many jobs are in each channel of a queue. Default queue: `default`. */
  info(queue?: string, options?: AdminOptions): Promise<QueueInfo>;
  /** The queues that hold or held a job, or hold a schedule, sorted by name. */
  queues(options?: AdminOptions): Promise<readonly string[]>;
  /** A page of a channel: dead jobs newest first, others next to run first; payloads cut after 1 KiB. */
  list(queue: string, channel: Channel, options?: ListOptions): Promise<JobPage>;
  /** One job with its whole payload: the live one with this id, else the newest dead one. */
  get(queue: string, id: string, options?: AdminOptions): Promise<StoredJob | undefined>;
  /** Brings dead jobs back to `waiting`; those whose id a live job has stay dead and are counted as `taken`. */
  reload(queue: string, channel: DeadChannel, select: Selection, options?: ReloadOptions): Promise<Reloaded>;
  /** Removes jobs of one channel for good; returns how many. A reserved one's delivery becomes stale. */
  remove(queue: string, channel: Channel, select: Selection, options?: AdminOptions): Promise<number>;
  /**
   * Tries today's definitions on a page of what is stored, without running or changing anything: each payload is decoded,
   * brought to its newest version and shown to its schema, as a worker would do. For use before a deploy.
   */
  validate(queue: string, channel: Channel, options?: ListOptions): Promise<ValidatedPage>;
  /** What the store's settings and state may do to jobs; costs the store a few questions. */
  diagnose(options?: AdminOptions): Promise<Diagnosis>;
}

/** What an operator's calls are made over. */
interface Office {
  readonly transport: Transport;
  readonly queues: KnownQueues;
  /** The bounds of a call, once its options are known to be right. */
  callOf(action: string, options: AdminOptions, known?: readonly string[]): Call;
}

/** Makes the operator's part over a transport; `show` makes of a stored entry what an operator sees of it. */
export function createAdmin(
  transport: Transport,
  deadline: number,
  show: (entry: Entry) => StoredJob | Promise<StoredJob>,
  faultOf: (entry: Entry, signal?: AbortSignal) => Promise<PayloadFault | undefined>,
  queues: KnownQueues,
): Admin {
  const office: Office = {
    transport,
    queues,
    callOf(action, options, known = []) {
      checkKnown(action, options, ["signal", ...known]);
      checkSignal(action, options.signal);
      options.signal?.throwIfAborted();
      return { deadline, signal: options.signal };
    },
  };
  return { ...counts(office), ...looks(office, show, faultOf), ...changes(office) };
}

/** Looks at queues, and at the store as a whole. */
function counts({ transport, queues, callOf }: Office): Pick<Admin, "info" | "queues" | "diagnose"> {
  return {
    async info(queue = "default", options = {}) {
      const action = "show a queue";
      checkQueueName(queue, action);
      const call = callOf(action, options);
      const info = structuredClone(await transport.info(queue, call));
      if (CHANNELS.every((channel) => info[channel] === 0)) await queues.ensure(queue, action, call);
      return info;
    },
    async queues(options = {}) {
      return [...await transport.queues(callOf("list queues", options))];
    },
    async diagnose(options = {}) {
      const call = callOf("diagnose the store", options);
      if (transport.diagnose !== undefined) return await transport.diagnose(call);
      const what = `What the store behind the ${transport.name} transport may do to jobs`;
      return {
        findings: [unseen("store", what, "Look at the broker itself: the transport has no 'diagnose'")],
      };
    },
  };
}

/** Looks at jobs. */
function looks(
  { transport, queues, callOf }: Office,
  show: (entry: Entry) => StoredJob | Promise<StoredJob>,
  faultOf: (entry: Entry, signal?: AbortSignal) => Promise<PayloadFault | undefined>,
): Pick<Admin, "list" | "validate" | "get"> {
  const pageOf = async (
    action: string,
    queue: string,
    channel: Channel,
    options: ListOptions,
    preview: number,
  ): Promise<Page> => {
    const call = callOf(action, options, ["limit", "cursor"]);
    checkPlace(action, queue, channel);
    const { limit = PAGE, cursor } = options;
    checkInteger(action, "limit", limit, 1, MAX_PAGE);
    const page = await transport.list(queue, channel, { limit, cursor, preview }, call);
    if (page.entries.length === 0) await queues.ensure(queue, action, call);
    return page;
  };
  return {
    async list(queue, channel, options = {}) {
      const { entries, cursor } = await pageOf("list jobs", queue, channel, options, PREVIEW);
      const jobs = await Promise.all(entries.map(show));
      return cursor === undefined ? { jobs } : { jobs, cursor };
    },
    async validate(queue, channel, options = {}) {
      // Of a payload that is cut nothing could be said.
      const whole = transport.limits.payload;
      const { entries, cursor } = await pageOf("validate jobs", queue, channel, options, whole);
      const found = await Promise.all(entries.map((entry) => faultOf(entry, options.signal)));
      const faults = found.filter((fault) => fault !== undefined);
      const page = { checked: entries.length, faults };
      return cursor === undefined ? page : { ...page, cursor };
    },
    async get(queue, id, options = {}) {
      const action = "get a job";
      checkQueueName(queue, action);
      checkAnyId(id, action);
      const call = callOf(action, options);
      const [entry] = await transport.get(queue, [id], call);
      if (entry !== undefined) return await show(entry);
      await queues.ensure(queue, action, call);
      return undefined;
    },
  };
}

/** Changes what is stored. */
function changes({ transport, queues, callOf }: Office): Pick<Admin, "reload" | "remove"> {
  return {
    async reload(queue, channel, select, options = {}) {
      const action = "reload jobs";
      const call = callOf(action, options, ["attempts"]);
      checkPlace(action, queue, channel, DEAD_CHANNELS);
      checkSelection(action, select, channel);
      const attempts = checkWord(
        action,
        "attempts",
        options.attempts === undefined ? "keep" : options.attempts,
        ["keep", "reset"],
      );
      const done = await transport.reload(queue, channel, select, { ...call, reset: attempts === "reset" });
      if (done.reloaded + done.taken === 0) await queues.ensure(queue, action, call);
      return done;
    },
    async remove(queue, channel, select, options = {}) {
      const action = "remove jobs";
      const call = callOf(action, options);
      checkPlace(action, queue, channel);
      checkSelection(action, select, channel);
      const removed = await transport.remove(queue, channel, select, call);
      if (removed === 0) await queues.ensure(queue, action, call);
      return removed;
    },
  };
}
