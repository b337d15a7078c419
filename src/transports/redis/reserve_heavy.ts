/**
 * Reserve of jobs with large payloads: while nothing but fresh entries waits, they are read with `XREADGROUP` without a
 * script, which would copy their payloads several times.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Call, Delivery } from "../../jobs/exchange.ts";
import { restOf } from "../../store/calls.ts";
import type { Reply, Script } from "./client/link.ts";
import { type Context, replies } from "./context.ts";
import { type Fields, jobOf } from "./layout/entry.ts";
import { middleOf, placeIn } from "./layout/token.ts";

/** Bytes of a payload from which on a queue's jobs are read so, and bytes of an answer that are enough. */
const HUGE = 16 * 1024;
const ENOUGH = 8 * 1024 * 1024;
/** Queues that are remembered at most. */
const MAX_KNOWN = 1_000;

/** Which jobs to read. */
export interface Fresh extends Call {
  readonly queue: string;
  readonly consumer: string;
  readonly limit: number;
  readonly lease: number;
}

/** Notes the largest payload of a poll, by which the next is judged. */
export function weigh({ heavy }: Context, queue: string, deliveries: readonly Delivery[]): void {
  const largest = deliveries.reduce((most, { payload }) => Math.max(most, payload.length), 0);
  if (largest < HUGE) heavy.delete(queue);
  else if (heavy.size < MAX_KNOWN || heavy.has(queue)) heavy.set(queue, largest);
}

/**
 * Fresh jobs of a queue whose last were large, and the server's time; absent where the whole script is needed. As many
 * as are enough if all are as large as the largest of the last poll.
 */
export async function freshHeavy(
  context: Context,
  script: Script,
  { queue, consumer, limit, lease, ...call }: Fresh,
): Promise<{ readonly deliveries: readonly Delivery[]; readonly now: number } | undefined> {
  const { link, keys, heavy, runtime } = context;
  const largest = heavy.get(queue);
  if (largest === undefined) return undefined;
  const rest = restOf(runtime, "reserve jobs", call);
  const base = keys.base(queue);
  const now = Number(await link.run(script, [base], [String(Math.ceil(lease))], rest()));
  if (now <= 0) return undefined;
  const count = Math.max(1, Math.min(limit, Math.floor(ENOUGH / largest)));
  const stream = keys.key(queue, "waiting");
  const args = ["XREADGROUP", "GROUP", keys.group, consumer, "COUNT", `${count}`, "STREAMS", stream, ">"];
  const answer = await link.command(base, args, rest());
  const deliveries = entriesIn(answer).map((entry) => deliveryOf(queue, consumer, lease, replies(entry)));
  if (deliveries.length > 0) return { deliveries, now };
  // An idle queue is polled by one script, not by three commands.
  heavy.delete(queue);
  return undefined;
}

/** The entries of the one stream that was read: a map comes flat. */
function entriesIn(answer: Reply): readonly Reply[] {
  return answer === null ? [] : replies(replies(answer)[1]);
}

function deliveryOf(queue: string, consumer: string, lease: number, parts: readonly Reply[]): Delivery {
  const [number, fields] = parts;
  const entry = textOf(number);
  const { id, index, name, payload, bare, meta, reset, due } = jobOf(queue, entry, fieldsOf(replies(fields)));
  const place = placeIn(entry, index === "ranges" ? "covered" : "listed");
  const token = place + middleOf(1, consumer, queue) + (index === "ids" ? id : "");
  const delivery = { queue, token, id, name, payload, meta, lost: 0, reset, due, lease };
  return bare ? { ...delivery, bare } : delivery;
}

/** Fields and values of an entry, one after the other. */
function fieldsOf(parts: readonly Reply[]): Fields {
  let at = 0;
  const bytes = (): Uint8Array => {
    const part = parts[at++];
    return part instanceof Uint8Array ? part : new Uint8Array();
  };
  const text = (): string => textOf(bytes());
  let rest = "";
  return {
    length: () => parts.length,
    word(words, starts = []) {
      const field = text();
      const start = starts.findIndex((start) => field.length > start.length && field.startsWith(start));
      rest = field.slice(starts[start]?.length);
      return start < 0 ? words.indexOf(field) : words.length + start;
    },
    text,
    repeated: text,
    bytes,
    payload: bytes,
    head(named) {
      const lines = text();
      const first = lines.indexOf("\n");
      const second = named ? first : lines.indexOf("\n", first + 1);
      if (first < 0 || second < 0) return undefined;
      return {
        name: named ? rest : lines.slice(first + 1, second),
        id: lines.slice(0, first),
        meta: lines.slice(second + 1),
      };
    },
  };
}

function textOf(reply: Reply | undefined): string {
  if (!(reply instanceof Uint8Array)) return "";
  return Buffer.from(reply.buffer, reply.byteOffset, reply.byteLength).toString("utf8");
}
