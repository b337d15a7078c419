/**
 * The job of a stream's entry, with defaults for fields that other programs left out.
 *
 * @module
 */

import { Buffer, isUtf8 } from "node:buffer";
import { NUMBERED, partsOf } from "../../../names.ts";
import type { Reader } from "./pack.ts";
import { COVERED_HEAD, HEAD, NAMED_HEAD } from "../scripts/lua.ts";

/** A job as its entry has it. */
export interface Stored {
  readonly id: string;
  /** Which key has its id, unless a program removed it; none has those of other programs. */
  readonly index: "ids" | "ranges" | undefined;
  readonly name: string;
  /** A window into the server's answer. */
  readonly payload: Uint8Array;
  /** There is no payload, not even an empty one. */
  readonly bare: boolean;
  readonly meta: string;
  readonly reset: boolean;
  /** When it could first run; in milliseconds since the epoch. */
  readonly due: number;
  /** Of a dead job: how many leases had been lost. */
  readonly lost: number;
  /** Of a dead job: when it died. */
  readonly time: number;
}

const NOTHING: Uint8Array = new Uint8Array();

/** The fields that we know, those of most entries first. */
const FIELDS = [
  COVERED_HEAD,
  "payload",
  HEAD,
  "due",
  "reset",
  "id",
  "name",
  "meta",
  "lost",
  "time",
];

/** Where fields begin whose name ends in the job's. */
const NAMED = [COVERED_HEAD, NAMED_HEAD];
const COVERED = FIELDS.length;
const LISTED = FIELDS.length + 1;

/** Fields of an entry and their values, read one after the other as {@linkcode Reader} reads them. */
export type Fields = Pick<Reader, "length" | "word" | "text" | "repeated" | "head" | "bytes" | "payload">;

/** Reads the fields of an entry and their values. */
export function jobOf(queue: string, entry: string, reader: Fields): Stored {
  let id = "";
  let name = "";
  let meta = "";
  let payload = NOTHING;
  let due = NaN;
  let lost = 0;
  let time = NaN;
  let reset = false;
  let index: Stored["index"];
  let bare = true;
  for (let left = reader.length(); left > 1; left -= 2) {
    const field = reader.word(FIELDS, NAMED);
    switch (field) {
      case 0:
      case 2:
      case COVERED:
      case LISTED: {
        const head = reader.head(field >= COVERED);
        if (head === undefined) break;
        ({ name, id, meta } = head);
        index = field === 0 || field === COVERED ? "ranges" : "ids";
        break;
      }
      case 1:
        payload = reader.payload();
        bare = false;
        break;
      case 3:
        due = instantIn(reader.text());
        break;
      case 4:
        reset = reader.bytes().length > 0;
        break;
      case 5:
        id = idOf(reader.bytes());
        break;
      case 6:
        name = reader.repeated();
        break;
      case 7:
        meta = reader.text();
        if (id !== "") index = "ids";
        break;
      case 8:
        lost = Number(reader.text()) || 0;
        break;
      case 9:
        time = instantIn(reader.text());
        break;
      default:
        reader.bytes();
    }
  }
  const added = Number(entry.slice(0, entry.indexOf("-")));
  return {
    id: id === "" ? NUMBERED + entry : id,
    index,
    name: name === "" ? partsOf(queue).topic ?? queue : name,
    payload,
    bare,
    meta,
    reset,
    due: Number.isNaN(due) ? added : due,
    lost,
    time: Number.isNaN(time) ? added : time,
  };
}

/** An id of another program's; one that is no UTF-8 could not be asked for, and counts as none. */
function idOf(bytes: Uint8Array): string {
  return isUtf8(bytes) ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8") : "";
}

/** The last instant of JavaScript's calendar, in milliseconds since the epoch. */
const LAST_INSTANT = 8.64e15;

/** Milliseconds since the epoch; NaN for a text that is no such number, and for one that no date can be. */
function instantIn(text: string): number {
  const instant = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  return instant <= LAST_INSTANT ? instant : NaN;
}
