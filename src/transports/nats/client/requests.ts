/**
 * Requests that are not answered yet: each is ended when its time is over. In a cluster the server that was to answer
 * may have died: a message that may be sent more than once is sent again when no answer comes.
 *
 * @module
 */

import type { Alarms } from "../../../flow/alarms.ts";
import { DeadlineExceeded } from "../../../errors.ts";
import type { Runtime } from "../../../runtime.ts";
import { createSlots } from "../../../flow/slots.ts";
import type { Answered, Outgoing } from "./link.ts";

/** A message that was sent, or is to be. */
export interface Ask {
  /** The token under which it waits: its slot, and a count that tells it from those that had the slot before. */
  token: string;
  readonly message: Outgoing;
  readonly since: number;
  readonly until: number;
  readonly answered: Answered;
  /** Milliseconds until it is sent again; 0: never. */
  pause: number;
  /** When it is sent again. */
  next: number;
  /** It was sent, and may have been accepted. */
  again: boolean;
}

/** In which tokens are written. */
const RADIX = 36;
/** Milliseconds without an answer after which a message is sent again, at first and at most. */
const SILENCE = 1_000;
const SILENCE_MOST = 2_000;

/** Makes an ask; `again` where it may be repeated. */
export function askOf(
  message: Outgoing,
  { since, until, again }: { readonly since: number; readonly until: number; readonly again: boolean },
  answered: Answered,
): Ask {
  return {
    token: "",
    message,
    since,
    until,
    answered,
    pause: again ? SILENCE : 0,
    next: again ? since + SILENCE : Infinity,
    again: false,
  };
}

function late({ message, since, until }: Ask): Error {
  return new DeadlineExceeded(`get NATS's answer for '${message.subject}'`, until - since);
}

/** All that wait for an answer. */
export class Asks {
  readonly #runtime: Runtime;
  readonly #alarms: Alarms;
  readonly #send: (token: string, message: Outgoing) => void;
  readonly #asks = createSlots<Ask>();
  #count = 0;
  #ringAt = Infinity;

  /** `send` sends a message under its token. */
  constructor(runtime: Runtime, alarms: Alarms, send: (token: string, message: Outgoing) => void) {
    this.#runtime = runtime;
    this.#alarms = alarms;
    this.#send = send;
  }

  /** Takes one in; the token under which it waits, which no other ever had. */
  add(ask: Ask): string {
    ask.token = `${this.#asks.add(ask).toString(RADIX)}-${(this.#count++).toString(RADIX)}`;
    this.#arm(Math.min(ask.until, ask.next));
    return ask.token;
  }

  /** Takes out the one with a token. */
  take(token: string): Ask | undefined {
    const slot = slotOf(token);
    const ask = this.#asks.get(slot);
    if (ask?.token !== token) return undefined;
    this.#asks.remove(slot);
    return ask;
  }

  /** Takes out all that fit. */
  takeAll(fits: (ask: Ask) => boolean): Ask[] {
    const taken = this.#asks.items().filter(fits);
    for (const { token } of taken) this.take(token);
    return taken;
  }

  /** Sends all again that may be. */
  repeat(): void {
    const now = this.#runtime.monotonic();
    for (const ask of this.#asks.items()) if (ask.pause > 0) this.#resend(ask, now);
  }

  /** Ends the asks whose time is over, repeats those that are due for it, and sleeps until the next one is. */
  #ring(): void {
    this.#ringAt = Infinity;
    const now = this.#runtime.monotonic();
    for (const ask of this.#asks.items()) {
      // One that was told before may have taken it out.
      if (this.#asks.get(slotOf(ask.token)) !== ask) continue;
      if (ask.until <= now) {
        this.take(ask.token);
        ask.answered(undefined, late(ask), ask.again);
        continue;
      }
      if (ask.next <= now) this.#resend(ask, now);
      this.#ringAt = Math.min(this.#ringAt, ask.until, ask.next);
    }
    if (this.#ringAt < Infinity) this.#alarms.set(this.#ringAt - now, () => this.#ring());
  }

  #arm(at: number): void {
    if (at >= this.#ringAt) return;
    this.#ringAt = at;
    this.#alarms.set(Math.max(0, at - this.#runtime.monotonic()), () => this.#ring());
  }

  #resend(ask: Ask, now: number): void {
    ask.again = true;
    ask.pause = Math.min(SILENCE_MOST, 2 * ask.pause);
    // Those that were sent together are not sent again all at once.
    ask.next = now + ask.pause * (0.5 + this.#runtime.random() / 2);
    this.#send(ask.token, ask.message);
  }
}

function slotOf(token: string): number {
  return Number.parseInt(token, RADIX);
}
