/**
 * A place is where a queue is in JetStream: its stream and the consumers of its lines. Made when missing, compared when
 * present, and never overwritten.
 *
 * @module
 */

import { partsOf } from "../../names.ts";
import { hush } from "../../promises.ts";
import type { ServerClock } from "./clock.ts";
import {
  compareConsumer,
  compareStream,
  type Consumer,
  DESCRIPTION,
  differencesOf,
  type StreamConfig,
  WINDOW_LEASES,
} from "./compare.ts";
import { FAULT, isFault, typed } from "./errors.ts";
import { streamLeader } from "./leaders.ts";
import type { Link } from "./link.ts";
import { type Line, safeName } from "./names.ts";
import { createOrder } from "./order.ts";
import type { Place } from "./place.ts";

/** Finds and makes places. */
export interface Places {
  /** The place of a queue, whether it is there or not. */
  of(queue: string): Place;
  /** The place of a queue, made when missing. */
  make(queue: string, until: number): Promise<Place>;
  /** The place of a queue, unless there is none. */
  find(queue: string, until: number): Promise<Place | undefined>;
  /** The place of a queue that was made or found before on this connection. */
  known(queue: string): Place | undefined;
  /** Looks anew at the next call: something of it is gone. */
  forget(place: Place): void;
  /** The same for all places. */
  forgetAll(): void;
}

interface StreamInfo {
  readonly config: StreamConfig;
  /** When the server said so. */
  readonly ts: string;
}

const LINES = ["w", "b", "d"] as const;
const NANOS = 1_000_000;
/** Milliseconds at least for which a server remembers the ids of messages. */
const LEAST_WINDOW = 120_000;
/** Milliseconds that a look may take for which nobody waits. */
const BACKGROUND = 30_000;
/** Pulls that may wait at one consumer. */
const MAX_WAITING = 4_096;

/** Makes the finder of a link's places. */
export function createPlaces(link: Link, clock: ServerClock): Places {
  const { prefix, group } = link.settings;
  const places = new Map<string, Place>();
  /** Places that were looked at, and on which connection. */
  const looked = new Map<Place, number>();
  const looking = new Map<Place, Promise<boolean>>();
  /** Places of which it was told how they differ. */
  const told = new Set<Place>();

  function placeOf(queue: string): Place {
    let place = places.get(queue);
    if (place !== undefined) return place;
    const token = safeName(queue);
    place = {
      queue,
      rawName: partsOf(queue).topic ?? queue,
      stream: `${prefix}_${token}`,
      leader: streamLeader(`${prefix}_${token}`),
      base: `${prefix}.${token}.`,
      consumers: { w: group, b: `${group}_back`, d: `${group}_delayed` },
      replicas: link.settings.replicas,
      ackWait: link.settings.ackWait,
      largest: Infinity,
      limited: [],
      window: windowOf(link.settings.ackWait),
      seen: { w: 0, b: 0, d: 0 },
      late: 0,
      askedAt: -Infinity,
      patrolled: { i: 0, h: 0, x: 0 },
      order: createOrder(),
      turn: undefined,
    };
    places.set(queue, place);
    return place;
  }

  async function look(place: Place, make: boolean, until: number): Promise<boolean> {
    const { epoch } = link;
    const info = await stream(place, make, until);
    if (info === undefined) return false;
    const { config, ts } = info;
    clock.tell(ts);
    compareStream(place, config);
    place.replicas = config.num_replicas;
    place.seen.w = place.seen.b = place.seen.d = 0;
    place.window = (config.duplicate_window ?? 0) / NANOS;
    place.largest = config.max_msg_size === undefined || config.max_msg_size < 0
      ? Infinity
      : config.max_msg_size;
    const found = await Promise.all(LINES.map((line) => consumer(place, line, until)));
    place.ackWait = Math.min(...found.map(({ ackWait }) => ackWait));
    place.limited = LINES.filter((_, index) => found[index]?.limited === true);
    tell(place, config);
    looked.set(place, epoch);
    return true;
  }

  function tell(place: Place, config: StreamConfig): void {
    const { asked, warn } = link.settings;
    const differs = differencesOf(asked, place, config);
    if (differs.length === 0 || told.has(place)) return;
    told.add(place);
    warn(`Stream '${place.stream}' is used as it is: ${differs.join(", ")}`);
  }

  async function stream(place: Place, make: boolean, until: number): Promise<StreamInfo | undefined> {
    const { stream: name } = place;
    try {
      return await link.api<StreamInfo>(`STREAM.INFO.${name}`, undefined, until);
    } catch (error) {
      if (!isFault(error, FAULT.streamNotFound)) throw typed(error, `look at stream '${name}'`);
    }
    if (!make) return undefined;
    const config = configOf(place, link.settings);
    try {
      return await link.api<StreamInfo>(`STREAM.CREATE.${name}`, config, until);
    } catch (error) {
      // Another process made it at the same moment.
      if (!isFault(error, FAULT.streamNameInUse)) throw typed(error, `make stream '${name}'`);
      return await link.api<StreamInfo>(`STREAM.INFO.${name}`, undefined, until);
    }
  }

  async function consumer(place: Place, line: Line, until: number): Promise<Consumer> {
    const name = place.consumers[line];
    const what = `${place.stream}.${name}`;
    try {
      return compareConsumer(place, line, await link.api(`CONSUMER.INFO.${what}`, undefined, until));
    } catch (error) {
      if (!isFault(error, FAULT.consumerNotFound)) throw typed(error, `look at consumer '${name}'`);
    }
    const body = {
      stream_name: place.stream,
      config: {
        durable_name: name,
        filter_subject: `${place.base}${line}.>`,
        deliver_policy: "all",
        ack_policy: "explicit",
        ack_wait: link.settings.ackWait * NANOS,
        max_deliver: -1,
        max_ack_pending: -1,
        max_waiting: MAX_WAITING,
      },
    };
    try {
      return compareConsumer(place, line, await link.api(`CONSUMER.DURABLE.CREATE.${what}`, body, until));
    } catch (error) {
      throw typed(error, `make consumer '${name}' of stream '${place.stream}'`);
    }
  }

  /**
   * Whether a place was looked at on this connection. Another server of the same cluster has what the one before had: a
   * look that waits there for a leader holds nobody up.
   */
  function isKnown(place: Place): boolean {
    const { epoch } = link;
    const at = looked.get(place);
    if (at === undefined || at === epoch) return at === epoch;
    if (!link.clustered) return false;
    looked.set(place, epoch);
    const until = link.settings.runtime.monotonic() + BACKGROUND;
    hush(
      look(place, false, until).then((found) => {
        if (!found && looked.get(place) === epoch) looked.delete(place);
      }),
    );
    return true;
  }

  /** Whether a place is there; those who ask at once share the look. */
  async function there(place: Place, make: boolean, until: number): Promise<boolean> {
    if (isKnown(place)) return true;
    const under = looking.get(place);
    if (under !== undefined && (await under.catch(() => false) || !make)) {
      return await there(place, make, until);
    }
    const look_ = look(place, make, until).finally(() => looking.delete(place));
    looking.set(place, look_);
    return await look_;
  }

  return {
    of: placeOf,
    async make(queue, until) {
      const place = placeOf(queue);
      await there(place, true, until);
      return place;
    },
    async find(queue, until) {
      const place = placeOf(queue);
      return await there(place, false, until) ? place : undefined;
    },
    known(queue) {
      const place = places.get(queue);
      return place !== undefined && isKnown(place) ? place : undefined;
    },
    forget: (place) => void looked.delete(place),
    forgetAll: () => looked.clear(),
  };
}

function windowOf(ackWait: number): number {
  return Math.max(LEAST_WINDOW, WINDOW_LEASES * ackWait);
}

function configOf({ stream, base, queue, window }: Place, settings: Link["settings"]): StreamConfig {
  return {
    name: stream,
    description: DESCRIPTION + JSON.stringify(queue),
    subjects: [`${base}>`],
    retention: "workqueue",
    storage: settings.storage,
    num_replicas: settings.replicas,
    discard: "new",
    allow_direct: true,
    allow_rollup_hdrs: true,
    duplicate_window: window * NANOS,
  };
}
