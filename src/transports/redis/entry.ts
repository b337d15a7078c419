/**
 * What an entry of a stream says of its job, with what other programs left out.
 *
 * @module
 */

import { partsOf } from "../../names.ts";
import { bytesOf, type Unpacked } from "./pack.ts";

/** A job as its entry has it. */
export interface Stored {
  readonly id: string;
  readonly name: string;
  /** A window into what the server answered. */
  readonly payload: Uint8Array;
  readonly meta: string;
  readonly reset: boolean;
  /** When it could first run; in milliseconds since the epoch. */
  readonly due: number;
  /** Of a dead job: how many leases had been lost. */
  readonly lost: number;
  /** Of a dead job: when it died. */
  readonly time: number;
}

const NOTHING = new Uint8Array();

/** Reads an entry: its number, then its fields and values in turn. */
export function jobOf(queue: string, entry: string, fields: readonly Unpacked[]): Stored {
  let id = "";
  let name = "";
  let meta = "";
  let payload: Uint8Array = NOTHING;
  let due = NaN;
  let lost = 0;
  let time = NaN;
  let reset = false;
  for (let n = 0; n + 1 < fields.length; n += 2) {
    const value = bytesOf(fields[n + 1]);
    switch (bytesOf(fields[n]).toString("latin1")) {
      case "id":
        id = value.toString("utf8");
        break;
      case "name":
        name = value.toString("utf8");
        break;
      case "meta":
        meta = value.toString("utf8");
        break;
      case "payload":
        payload = value;
        break;
      case "due":
        due = instantIn(value);
        break;
      case "lost":
        lost = Number(value.toString("latin1")) || 0;
        break;
      case "time":
        time = instantIn(value);
        break;
      case "reset":
        reset = true;
        break;
    }
  }
  const added = Number(entry.slice(0, entry.indexOf("-")));
  return {
    id: id === "" ? entry : id,
    name: name === "" ? partsOf(queue).topic ?? queue : name,
    payload,
    meta,
    reset,
    due: Number.isNaN(due) ? added : due,
    lost,
    time: Number.isNaN(time) ? added : time,
  };
}

/** Milliseconds since the epoch; NaN for what is no such number. */
function instantIn(value: { toString(encoding: "latin1"): string }): number {
  const text = value.toString("latin1");
  return /^\d{1,16}$/.test(text) ? Number(text) : NaN;
}
