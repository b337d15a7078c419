/**
 * The job of a stream's entry, with defaults for fields that other programs left out.
 *
 * @module
 */

import { NUMBERED, partsOf } from "../../../names.ts";
import type { Reader } from "./pack.ts";

/** A job as its entry has it. */
export interface Stored {
  readonly id: string;
  /** Its id is in the index, unless a program removed it; not so for entries of other programs. */
  readonly listed: boolean;
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

/** The fields that we know; scripts write them in this order. */
const FIELDS = ["id", "name", "meta", "payload", "due", "reset", "lost", "time"];

/** Reads the fields of an entry and their values. */
export function jobOf(queue: string, entry: string, reader: Reader): Stored {
  let id = "";
  let name = "";
  let meta = "";
  let payload = NOTHING;
  let due = NaN;
  let lost = 0;
  let time = NaN;
  let reset = false;
  let listed = false;
  let bare = true;
  for (let left = reader.length(); left > 1; left -= 2) {
    switch (reader.word(FIELDS)) {
      case 0:
        id = reader.text();
        break;
      case 1:
        name = reader.repeated();
        break;
      case 2:
        meta = reader.text();
        listed = id !== "";
        break;
      case 3:
        payload = reader.payload();
        bare = false;
        break;
      case 4:
        due = instantIn(reader.text());
        break;
      case 5:
        reset = reader.bytes().length > 0;
        break;
      case 6:
        lost = Number(reader.text()) || 0;
        break;
      case 7:
        time = instantIn(reader.text());
        break;
      default:
        reader.bytes();
    }
  }
  const added = Number(entry.slice(0, entry.indexOf("-")));
  return {
    id: id === "" ? NUMBERED + entry : id,
    listed,
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

/** Milliseconds since the epoch; NaN for a text that is no such number. */
function instantIn(text: string): number {
  return /^\d{1,16}$/.test(text) ? Number(text) : NaN;
}
