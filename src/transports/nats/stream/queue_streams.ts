/**
 * Streams and the consumers of their states: made when missing, compared when present, and never changed.
 *
 * @module
 */

import { RelevoError } from "../../../errors.ts";
import { partsOf } from "../../../names.ts";
import { hush } from "../../../promises.ts";
import { FAULT, isFault, StreamGone, typed } from "../client/errors.ts";
import { type Link, streamLeader } from "../client/link.ts";
import { checkConsumer, checkStream, DESCRIPTION, differencesOf, WINDOW_LEASES } from "./config_check.ts";
import { storeFront } from "./front.ts";
import { timeOf } from "./message.ts";
import type { QueueStream, StoreState, StreamConfig, StreamInfo } from "./queue_stream.ts";
import type { QueueStreams, ServerClock } from "./context.ts";
import { streamInfo } from "./read.ts";
import { namesOf, pullFilters, type PullState } from "./subjects.ts";

const NANOS = 1_000_000;
/** Milliseconds at least for which a server remembers the ids of messages. */
const LEAST_WINDOW = 120_000;
/** Milliseconds that a check may take which no call waits for. */
const BACKGROUND = 30_000;
/** Pulls that may wait at one consumer. */
const MAX_WAITING = 4_096;

/** The parts of the finder of streams. */
interface Finder {
  readonly link: Link;
  readonly clock: ServerClock;
  /** Streams of which it was told how they differ. */
  readonly told: Set<string>;
}

/** Makes the finder of a link's streams. */
export function createQueueStreams(link: Link, clock: ServerClock): QueueStreams {
  const finder: Finder = { link, clock, told: new Set() };
  const all = new Map<string, QueueStream>();
  const stores = new Map<string, StoreState>();
  /** Streams that were checked, and on which connection. */
  const looked = new Map<QueueStream, number>();
  const looking = new Map<QueueStream, Promise<boolean>>();

  function of(queue: string): QueueStream {
    const found = all.get(queue) ?? unseen(link, queue, stores);
    all.set(queue, found);
    return found;
  }

  const look = async (queueStream: QueueStream, make: boolean, until: number): Promise<boolean> =>
    await lookAt(finder, looked, queueStream, make, until);

  /**
   * Whether a stream was checked on this connection. Another server of the same cluster has the same streams as the one
   * before: a check that waits there for a leader holds no call up.
   */
  function isKnown(queueStream: QueueStream): boolean {
    const { epoch } = link;
    const at = looked.get(queueStream);
    if (at === undefined || at === epoch) return at === epoch;
    if (!link.clustered) return false;
    looked.set(queueStream, epoch);
    hush(lookAgain(finder, looked, queueStream, link.settings.runtime.monotonic() + BACKGROUND));
    return true;
  }

  /** Whether a stream is there; calls that ask at once share the check. */
  async function there(queueStream: QueueStream, make: boolean, until: number): Promise<boolean> {
    if (isKnown(queueStream)) return true;
    const under = looking.get(queueStream);
    if (under !== undefined && (await under.catch(() => false) || !make)) {
      return await there(queueStream, make, until);
    }
    const mine = look(queueStream, make, until).finally(() => looking.delete(queueStream));
    looking.set(queueStream, mine);
    return await mine;
  }

  return {
    of,
    async make(queue, until) {
      const queueStream = of(queue);
      queueStream.refused = true;
      await there(queueStream, true, until);
      queueStream.refused = false;
      return queueStream;
    },
    async find(queue, until) {
      const queueStream = of(queue);
      return await there(queueStream, false, until) ? queueStream : undefined;
    },
    known(queue) {
      const queueStream = all.get(queue);
      return queueStream !== undefined && isKnown(queueStream) ? queueStream : undefined;
    },
    refresh: (queueStream, until) => lookAgain(finder, looked, queueStream, until),
    checked(deliveries, until) {
      const unknown = foundIn(all, deliveries).filter((one) => !isKnown(one));
      if (unknown.length === 0) return undefined;
      return Promise.allSettled(unknown.map((one) => there(one, false, until)));
    },
    forget: (queueStream) => void looked.delete(queueStream),
    forgetAll: () => looked.clear(),
  };
}

/** The streams of deliveries that this process knows. */
function foundIn(
  all: ReadonlyMap<string, QueueStream>,
  deliveries: readonly { readonly queue: string }[],
): readonly QueueStream[] {
  const found = new Set<QueueStream>();
  for (const { queue } of deliveries) {
    const queueStream = all.get(queue);
    if (queueStream !== undefined) found.add(queueStream);
  }
  return [...found];
}

/** A queue's stream before it was checked. */
function unseen(
  { settings: { prefix, group, replicas, ackWait } }: Link,
  queue: string,
  stores: Map<string, StoreState>,
): QueueStream {
  const names = namesOf(prefix, queue);
  const store = stores.get(names.stream) ??
    { full: undefined, fullAt: -Infinity, wroteAt: -Infinity, halves: new Map() };
  stores.set(names.stream, store);
  const consumer = group + names.suffix;
  return {
    ...names,
    queue,
    rawName: partsOf(queue).topic ?? queue,
    leader: streamLeader(names.stream),
    consumers: { w: consumer, b: `${consumer}_back` },
    replicas,
    ackWait,
    largest: Infinity,
    window: Math.max(LEAST_WINDOW, WINDOW_LEASES * ackWait),
    created: 0,
    replaced: undefined,
    told: false,
    checkedAt: -Infinity,
    bareAt: Infinity,
    seen: { w: 0, b: 0 },
    mean: 0,
    late: 0,
    askedAt: -Infinity,
    checked: undefined,
    store,
    letGo: new Map(),
    refused: false,
    order: { put: [], take: [] },
  };
}

/** Checks a stream; `looked` takes in on which connection it was found. */
async function lookAt(
  finder: Finder,
  looked: Map<QueueStream, number>,
  queueStream: QueueStream,
  make: boolean,
  until: number,
): Promise<boolean> {
  const { link: { epoch, settings: { asked, warn, runtime } }, clock, told } = finder;
  const sentAt = runtime.monotonic();
  const info = await streamOf(finder, queueStream, make, until);
  if (info === undefined) return false;
  const { config, ts, created } = info;
  clock.tell(ts, sentAt);
  checkStream(queueStream, config);
  queueStream.replicas = config.num_replicas;
  isNow(queueStream, timeOf(created));
  queueStream.seen.w = queueStream.seen.b = 0;
  queueStream.window = (config.duplicate_window ?? 0) / NANOS;
  queueStream.largest = config.max_msg_size === undefined || config.max_msg_size < 0
    ? Infinity
    : config.max_msg_size;
  const states = ["w", "b"] as const;
  const waits = await Promise.all(states.map((state) => consumerOf(finder.link, queueStream, state, until)));
  queueStream.ackWait = Math.min(...waits);
  const differs = differencesOf(asked, queueStream, config);
  if (differs.length > 0 && !told.has(queueStream.stream)) {
    told.add(queueStream.stream);
    warn(`Stream '${queueStream.stream}' is used as it is: ${differs.join(", ")}`);
  }
  // A stream that was purged gets it, too.
  if (make || queueStream.checkedAt > 0) storeFront(finder.link, queueStream, info.state);
  looked.set(queueStream, epoch);
  queueStream.checkedAt = runtime.monotonic();
  return true;
}

/** Checks a stream that is known. One that is gone, or unfit by now, is told by the next call that needs it. */
async function lookAgain(
  finder: Finder,
  looked: Map<QueueStream, number>,
  queueStream: QueueStream,
  until: number,
): Promise<void> {
  const found = await lookAt(finder, looked, queueStream, false, until).catch((error) => {
    if (error instanceof RelevoError && error.code === "TRANSPORT_INCOMPATIBLE") return false;
    throw error;
  });
  if (!found) looked.delete(queueStream);
}

/** Takes in when a stream was made. Of one that was made anew nothing holds that was known of the one before it. */
function isNow(queueStream: QueueStream, created: number): void {
  const { created: before, told, queue, stream } = queueStream;
  queueStream.created = created;
  queueStream.told = false;
  if (before === 0 || before === created) return;
  const why = `stream '${stream}' was deleted and made anew: the jobs that it held are gone`;
  if (!told) queueStream.replaced = new StreamGone(`reserve jobs of queue '${queue}'`, why);
  queueStream.checked = undefined;
  queueStream.letGo.clear();
}

async function streamOf(
  { link }: Finder,
  queueStream: QueueStream,
  make: boolean,
  until: number,
): Promise<StreamInfo | undefined> {
  const { stream: name } = queueStream;
  try {
    return await streamInfo(link, name, until);
  } catch (error) {
    if (!isFault(error, FAULT.streamNotFound)) throw typed(error, `look at stream '${name}'`);
  }
  if (!make) return undefined;
  const config = configOf(queueStream, link.settings);
  try {
    return await link.api<StreamInfo>(`STREAM.CREATE.${name}`, config, until);
  } catch (error) {
    // Another process made it at the same moment.
    if (!isFault(error, FAULT.streamNameInUse)) throw typed(error, `make stream '${name}'`);
    return await streamInfo(link, name, until);
  }
}

async function consumerOf(
  link: Link,
  queueStream: QueueStream,
  state: PullState,
  until: number,
): Promise<number> {
  const name = queueStream.consumers[state];
  const what = `${queueStream.stream}.${name}`;
  try {
    return checkConsumer(queueStream, state, await link.api(`CONSUMER.INFO.${what}`, undefined, until));
  } catch (error) {
    if (!isFault(error, FAULT.consumerNotFound)) throw typed(error, `look at consumer '${name}'`);
  }
  const body = {
    stream_name: queueStream.stream,
    config: {
      durable_name: name,
      filter_subjects: pullFilters(queueStream.base, state),
      deliver_policy: "all",
      ack_policy: "explicit",
      ack_wait: link.settings.ackWait * NANOS,
      max_deliver: -1,
      max_ack_pending: -1,
      max_waiting: MAX_WAITING,
    },
  };
  try {
    const made = await link.api<Parameters<typeof checkConsumer>[2]>(
      `CONSUMER.DURABLE.CREATE.${what}`,
      body,
      until,
    );
    return checkConsumer(queueStream, state, made);
  } catch (error) {
    throw typed(error, `make consumer '${name}' of stream '${queueStream.stream}'`);
  }
}

function configOf({ stream, root, owner, window }: QueueStream, settings: Link["settings"]): StreamConfig {
  return {
    name: stream,
    description: DESCRIPTION + JSON.stringify(owner),
    subjects: [`${root}>`],
    retention: "workqueue",
    storage: settings.storage,
    num_replicas: settings.replicas,
    allow_direct: true,
    allow_rollup_hdrs: true,
    allow_msg_ttl: true,
    allow_msg_schedules: true,
    allow_atomic: true,
    duplicate_window: window * NANOS,
  };
}
