/**
 * The bytes that all pulls of one connection may bring at one moment. A server cuts a connection for which more waits
 * than its `max_pending`; no client is told how much that is, but it is no less than `max_payload`, which each client is
 * told. So all pulls together ask for a part of that, and for a job that is larger a pull asks alone.
 *
 * @module
 */

import { hush } from "../../../promises.ts";
import { briefly } from "../../../flow/deadline.ts";
import type { Link } from "../client/link.ts";
import { createInFlight } from "./in_flight.ts";

/** Shares out the bytes. */
export interface Incoming {
  /** Bytes of one pull of those that wait at the server, which may be answered all at once. */
  ofOpen(pulls: number): number;
  /** The share of a poll, which it has yet to take. */
  share(): Share;
}

/** The bytes that one poll may bring. */
export interface Share {
  /** Takes bytes for so many jobs of that mean size (0: not known), and calls back with them once they are free. */
  take(jobs: number, mean: number, taken: (bytes: number) => void): void;
  /** Takes all instead, and calls back once nothing else is on its way. */
  takeAll(taken: () => void): void;
  /** Gives them back until it takes some anew, also those that it still waits for. */
  pause(): void;
  /** Gives them back when so many have come. */
  leave(came: number): void;
}

/** The part of `max_payload` that polls may bring together, and its bytes at least and at most. */
const POLLS = 1 / 2;
const LEAST = 512 * 1024;
const MOST = 4 * 1024 * 1024;
/** Parts of that: of what open pulls may bring beside, of the least poll, and of one whose end is not checked. */
const OPEN = 1 / 4;
const SMALLEST = 1 / 16;
const LOOSE = 1 / 2;
/** Bytes of an open pull at least: most jobs come without a second question. */
const LEAST_OPEN = 4 * 1024;
/** Bytes of a job of a queue that none came from yet, as far as its polls know. */
const UNKNOWN = 16 * 1024;
/** By how much a poll's jobs may be larger than those before. */
const GROWN = 2;
/** Milliseconds that a server may take to say that it has sent all. */
const PATIENCE = 1_000;

/** Makes the shares of a link. */
export function createIncoming(link: Link): Incoming {
  const most = (): number =>
    Math.min(MOST, Math.max(LEAST, Math.floor((link.info?.max_payload ?? 0) * POLLS)));
  const window = createInFlight(Infinity, most);
  /** A server counts bytes as waiting for a moment after they have come; behind its answer it counts them no more. */
  const flushed = (): Promise<void> => briefly(link.settings.runtime, PATIENCE, link.flush());

  function share(): Share {
    let held = 0;
    let isOver = false;
    /** Counts what it asked the window for: of those only the last is wanted. */
    let asked = 0;

    function release(came: number): void {
      const bytes = held;
      held = 0;
      if (bytes === 0) return;
      if (came <= most() * LOOSE) window.leave(bytes);
      else hush(flushed().then(() => window.leave(bytes)));
    }

    function enter(bytes: number, entered: () => void): void {
      const mine = ++asked;
      const done = (): void => {
        if (isOver || mine !== asked) return window.leave(bytes);
        held = bytes;
        entered();
      };
      const entering = window.enter(bytes);
      if (entering === undefined) done();
      else hush(entering.then(done));
    }

    return {
      take(jobs, mean, taken) {
        // Of queues that are empty many are polled at once: each that took all would wait for all others.
        const wanted = jobs * (mean === 0 ? UNKNOWN : GROWN * mean);
        // A server refuses a question for parts of a byte.
        const bytes = Math.ceil(Math.min(most(), Math.max(most() * SMALLEST, wanted)));
        enter(bytes, () => taken(bytes));
      },
      takeAll(taken) {
        release(0);
        enter(most(), () => {
          const mine = asked;
          hush(flushed().then(() => isOver || mine !== asked || taken()));
        });
      },
      pause() {
        asked++;
        release(0);
      },
      leave(came) {
        isOver = true;
        release(came);
      },
    };
  }

  return {
    ofOpen: (pulls) => Math.max(LEAST_OPEN, Math.floor(most() * OPEN / Math.max(1, pulls))),
    share,
  };
}
