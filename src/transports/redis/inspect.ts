/**
 * The operator's reads: counts, listings, single jobs.
 *
 * @module
 */

import type { Transport } from "../../contract/transport.ts";
import type { Entry } from "../../jobs/exchange.ts";
import { pageOf, parted, placeIn } from "../../store/pages.ts";
import { CHANNELS, isDead } from "../../jobs/job.ts";
import { restOf } from "../../store/calls.ts";
import { type Context, replies } from "./context.ts";
import { jobOf } from "./layout/entry.ts";
import type { Script } from "./client/link.ts";
import { type Reader, readerOf } from "./layout/pack.ts";
import { CHANNEL } from "./scripts/inspect.ts";

/** Ids that one script searches for. */
const MAX_IDS = 200;

/** Exact counts, all of one moment. */
export function infoOf({ link, keys }: Context, script: Script): Transport["info"] {
  return async (queue, call) => {
    const answer = replies(await link.run(script, [keys.base(queue)], [], call)).map(Number);
    const [waiting = 0, delayed = 0, reserved = 0, failed = 0, timeout = 0, oldest = -1, now = 0] = answer;
    const counts = { waiting, delayed, reserved, failed, timeout };
    return oldest < 0 ? counts : { ...counts, oldest: Math.max(0, now - oldest) };
  };
}

/** The live job of each id, else its newest dead one. */
export function getJobs({ link, keys, pack, runtime }: Context, script: Script): Transport["get"] {
  return async (queue, ids, call) => {
    const rest = restOf(runtime, "get jobs", call);

    async function getPage(page: readonly string[]): Promise<readonly (Entry | undefined)[]> {
      const found: (Entry | undefined)[] = [];
      while (found.length < page.length) {
        const left = pack(page.slice(found.length));
        const reader = readerOf(await link.run(script, [keys.base(queue)], [left], rest()));
        for (let answers = reader.length(); answers > 0; answers--) {
          found.push(reader.isList() ? entryOf(queue, reader) : undefined);
        }
      }
      return found;
    }

    return (await Promise.all([...parted(ids, MAX_IDS)].map(getPage))).flat();
  };
}

/** The position of a listing. */
interface Place {
  /**
   * `s`: in a stream; `z`: among the due times; `b`, `r`: among the delayed jobs that came back, or are reserved; empty
   * at the start.
   */
  readonly phase: string;
  readonly entry: string;
  readonly due: string;
}

/** A page of a listing, by as many scripts as it needs. */
export function listJobs({ link, keys, runtime }: Context, script: Script): Transport["list"] {
  return async (queue, channel, page, call) => {
    const rest = restOf(runtime, "list jobs", call);
    const limit = Math.min(page.limit, 10_000);
    const found: { readonly place: Place; readonly entry: Entry }[] = [];
    const [phase = "", entry = "", due = "0"] = placeIn(
      page.cursor,
      /^([bsrz])\.(\d{1,20}-\d{1,20})\.(-?\d{1,16})$/,
    );
    let place: Place | undefined = { phase, entry, due };
    while (place !== undefined && found.length <= limit) {
      const wanted = [
        CHANNEL[channel],
        place.phase,
        place.entry,
        place.due,
        limit + 1 - found.length,
        page.preview,
      ];
      const reply = await link.run(script, [keys.base(queue)], wanted.map(String), rest());
      const reader = readerOf(reply);
      reader.length();
      for (let shown = reader.length(); shown > 0; shown--) {
        reader.length();
        found.push({ place: nextPlace(reader), entry: entryOf(queue, reader) });
      }
      place = undefined;
      if (reader.isList() && reader.length() > 0) place = nextPlace(reader);
    }
    const cursorOf = ({ place }: { readonly place: Place }): string =>
      `${place.phase}.${place.entry}.${place.due}`;
    return pageOf(found, limit, ({ entry }) => entry, cursorOf);
  };
}

function nextPlace(reader: Reader): Place {
  return { phase: reader.text(), entry: reader.text(), due: reader.text() };
}

function entryOf(queue: string, reader: Reader): Entry {
  reader.length();
  const channel = CHANNELS[reader.number()] ?? "waiting";
  const { id, name, payload, meta, reset, due, ...death } = jobOf(queue, reader.text(), reader);
  const lost = reader.number();
  const until = reader.number();
  const size = reader.number();
  return {
    queue,
    channel,
    id,
    name,
    payload,
    size,
    meta,
    lost: isDead(channel) ? death.lost : lost,
    reset,
    time: isDead(channel) ? death.time : until || due,
  };
}
