/**
 * Pulls: how messages come. A pull takes what is there and ends; a stand waits at the server until something comes.
 *
 * @module
 */

import { errorOf } from "../../errors.ts";
import { hush } from "../../promises.ts";
import { consumerLeader } from "./leaders.ts";
import type { Link } from "./link.ts";
import type { NatsHeaders, NatsMessage } from "./connection.ts";
import { Arrival } from "./arrival.ts";
import { isPlaceGone, NoResponders, PlaceGone } from "./errors.ts";
import { createKeeper, headerOf } from "./frame.ts";
import type { Line } from "./names.ts";
import type { Place } from "./place.ts";
import type { Places } from "./places.ts";
import { deliveredOf, unpack } from "./wire.ts";

/** Brings messages in. */
export interface Pulls {
  /** Takes what is there, at most `batch`. What comes when nobody asks for it any more goes to `stray`. */
  take(place: Place, line: Line, batch: number, until: number): Promise<Arrival[]>;
  /** Waits at the server for at most `batch`. */
  stand(place: Place, line: Line, batch: number, heard: StandListener): Stand;
}

/** What a stand tells. */
export interface StandListener {
  arrived(arrival: Arrival): void;
  /** It waits no more: all came, its time is over, or the server dropped it. */
  over(gone?: Error): void;
}

/** A pull that waits. */
export interface Stand {
  /** Gives up waiting, unless it is over; what is on its way still arrives, or hardly any of it where that is to be `now`. */
  end(now: boolean): Promise<void>;
}

/**
 * Milliseconds without a word from the server: where another took what it saw, it waits for more, and says nothing. So
 * it is asked again, half as often each time: its silence never means that nothing is there.
 */
const SILENCE = 250;
/** As long at most in a cluster, where whoever is asked may have died. */
const SILENCE_MOST = 2_000;
/** Milliseconds that a stand waits at the server. */
const STAND = 120_000;
/** Milliseconds after which a stand is taken for over, though the server has not said so. */
const FORGOTTEN = STAND + 5_000;
/** Milliseconds between two signs that a stand is still known to its leader in a cluster, and until it is given up. */
const BEAT = 3_000;
const MISSED = 7_500;
/** What is in the socket is looked at so often in the time of a lease, and in milliseconds at least and at most. */
const PULSES = 10;
const PULSE_MIN = 20;
const PULSE_MAX = 1_000;
const NANOS = 1_000_000;
/** The server's words for a pull that found nothing, and for one whose time is over. */
const NOTHING = 404;
const OVER = 408;
const NOBODY = 503;
const HEARTBEAT = 100;

/** Makes pulls of a link. */
export function createPulls(link: Link, places: Places, stray: (arrival: Arrival) => void): Pulls {
  const { runtime } = link.settings;
  const { alarms } = link;
  const keep = createKeeper();

  function arrivalOf(place: Place, line: Line, message: NatsMessage, reply: string, at: number): Arrival {
    const delivered = deliveredOf(reply);
    const { seq, count } = delivered;
    const { data } = message;
    const record = unpack(headerOf(message, data), place.rawName, seq);
    const again = isAgain(place, line, seq, count);
    return new Arrival(place, line, at, again, reply, delivered, record, keep(data));
  }

  /**
   * Whether a message was delivered before. A line's new messages come in the order of their numbers; where the server
   * miscounts, one that comes behind a later one was delivered all the same.
   */
  function isAgain(place: Place, line: Line, seq: number, count: number): boolean {
    const behind = seq <= place.seen[line];
    if (!behind) place.seen[line] = seq;
    return behind || count > 1;
  }

  /** Stands that wait, each with what its queue's lease asks of the pulse. */
  const standing = new Map<object, number>();
  /** What came before this instant, on the monotonic clock, has been read. */
  let read = -Infinity;
  let pulsing = false;

  /**
   * While this thread is busy, what the server hands over lies in the socket, and its lease runs: by the time it is read
   * it may be another's. So it is known until when the socket was empty.
   */
  function pulse(): void {
    if (pulsing || standing.size === 0) return;
    pulsing = true;
    alarms.set(Math.min(...standing.values()), () => {
      pulsing = false;
      const now = runtime.monotonic();
      // Timers run before sockets are read, and what sleeps for nothing runs behind that.
      hush(runtime.sleep(0).then(() => read = now));
      pulse();
    });
  }

  function send(place: Place, line: Line, reply: string, body: object): void {
    link.send({ subject: pullOf(place, line), data: JSON.stringify(body) }, reply);
  }

  return {
    take(place, line, batch, until) {
      return new Promise((resolve, reject) => {
        const at = runtime.monotonic();
        const arrivals: Arrival[] = [];
        let over = false;
        let pause = SILENCE;
        let heard = -Infinity;
        // What a second pull brings, or a server that was silent, comes late: it is heard for so long as it is on its way.
        const end = (error?: Error): void => {
          if (over) return;
          over = true;
          cancel();
          if (error !== undefined || pause > SILENCE) {
            place.late++;
            hush(inbox.end(false).finally(() => place.late--));
          } else {
            inbox.drop();
          }
          if (error === undefined) return resolve(arrivals);
          for (const arrival of arrivals) stray(arrival);
          reject(error);
        };
        // What comes bears the subject it was published to, so that each pull needs a subscription of its own.
        const inbox = link.subscribe((message) => {
          const { reply } = message;
          if (reply === undefined || reply === "") {
            const { headers } = message;
            if (over || (arrivals.length === 0 && isMoved(headers))) return;
            if (arrivals.length === 0 && headers?.code === NOBODY && link.clustered) return election();
            const gone = statusError(place, headers);
            if (gone !== undefined) places.forget(place);
            return end(gone);
          }
          const arrival = arrivalOf(place, line, message, reply, at);
          if (over) return stray(arrival);
          arrivals.push(arrival);
          if (arrivals.length === batch) return end();
          heard = runtime.monotonic();
          // One anew for each message would cost more than to read it.
          if (arrivals.length === 1) listen(SILENCE);
        });
        const listen = (ms: number): void => {
          silence.cancel();
          silence = alarms.set(ms, quiet);
        };
        let electing = false;
        const election = (): void => {
          if (electing) return;
          electing = true;
          silence.cancel();
          link.leaders.elected(leaderOf(place, line), until).then(() => {
            electing = false;
            if (over) return;
            listen(SILENCE);
            send(place, line, inbox.subject, { batch, no_wait: true });
          }, (error) => {
            if (isPlaceGone(error)) places.forget(place);
            end(errorOf(error));
          });
        };
        const quiet = (): void => {
          const rest = heard + SILENCE - runtime.monotonic();
          if (rest > 0) return listen(rest);
          pause = link.clustered ? Math.min(SILENCE_MOST, 2 * pause) : 2 * pause;
          if (arrivals.length > 0) return end();
          listen(pause);
          send(place, line, inbox.subject, { batch: 1, no_wait: true });
        };
        let silence = alarms.set(SILENCE, quiet);
        // A link that is down ends it at once.
        let unwatch = (): void => undefined;
        const cancel = (): void => {
          silence.cancel();
          unwatch();
        };
        unwatch = link.watch(pullOf(place, line), until, end);
        if (!over) send(place, line, inbox.subject, { batch, no_wait: true });
      });
    },
    stand(place, line, batch, { arrived, over }) {
      let rest = batch;
      let left = false;
      /** The server has sent all that it will. */
      let told = false;
      const begun = runtime.monotonic();
      const key = {};
      const leave = (): void => {
        left = true;
        standing.delete(key);
        watchdog.cancel();
      };
      const ended = (gone?: Error): void => {
        rest = 0;
        leave();
        if (isPlaceGone(gone)) places.forget(place);
        over(gone);
      };
      const wait = (): void => {
        const beat = link.clustered ? { idle_heartbeat: BEAT * NANOS } : {};
        send(place, line, subscription.subject, { batch: rest, expires: STAND * NANOS, ...beat });
      };
      const subscription = link.subscribe((message) => {
        const { reply } = message;
        heard = runtime.monotonic();
        if (reply === undefined || reply === "") {
          const { headers } = message;
          if (headers?.code === HEARTBEAT || left) return;
          if (headers?.code === NOBODY && link.clustered) {
            return void link.leaders.elected(leaderOf(place, line), begun + STAND).then(
              () => left || wait(),
              (error) => left || ended(errorOf(error)),
            );
          }
          told = true;
          return ended(statusError(place, headers));
        }
        rest--;
        arrived(arrivalOf(place, line, message, reply, Math.max(begun, read)));
        if (rest > 0) return;
        told = true;
        leave();
        over();
      });
      // A leader that died has told nobody, nor one that found no way to here for a moment.
      let heard = begun;
      const watch = (): void => {
        const rest = (link.clustered ? heard + MISSED : begun + FORGOTTEN) - runtime.monotonic();
        if (rest <= 0) ended();
        else watchdog = alarms.set(rest, watch);
      };
      let watchdog = alarms.set(link.clustered ? MISSED : FORGOTTEN, watch);
      standing.set(key, Math.max(PULSE_MIN, Math.min(PULSE_MAX, place.ackWait / PULSES)));
      pulse();
      wait();
      return {
        end(now) {
          leave();
          if (!told) return subscription.end(now);
          subscription.drop();
          return Promise.resolve();
        },
      };
    },
  };
}

function leaderOf({ stream, consumers }: Place, line: Line): string {
  return consumerLeader(stream, consumers[line]);
}

/** Where a line is asked for jobs. */
function pullOf({ stream, consumers }: Place, line: Line): string {
  return `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumers[line]}`;
}

/** Whether a pull ended because its consumer has another leader: that says nothing of what is there. */
function isMoved(headers: NatsHeaders | undefined): boolean {
  return headers?.code === 409 && /leadership/i.test(headers.description);
}

/** What ends a pull for a reason other than its time or that nothing is there; that a consumer moved is none. */
function statusError({ stream }: Place, headers: NatsHeaders | undefined): Error | undefined {
  const { code = 0, description = "" } = headers ?? {};
  const what = `take jobs from stream '${stream}'`;
  if (code === NOBODY) return new NoResponders(what);
  return code === NOTHING || code === OVER || isMoved(headers)
    ? undefined
    : new PlaceGone(what, `the server says '${description}'`);
}
