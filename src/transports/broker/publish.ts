/**
 * Jobs on their way to the broker.
 *
 * @module
 */

import type { Alarms } from "../../flow/alarms.ts";
import { DeadlineExceeded, OutcomeUnknown, RelevoError, TransportError } from "../../errors.ts";
import type { Call, Pushed, PushJob } from "../../jobs/exchange.ts";
import { isPromise } from "../../promises.ts";
import type { Runtime } from "../../runtime.ts";
import type { Ids } from "./ids.ts";
import { write } from "./message.ts";

/** Hands a body to the broker; resolves, or returns nothing, when the broker has it. */
export type Publish = (topic: string, body: Uint8Array, call: Call) => Promise<unknown> | void;

/** Publishes. */
export interface Publisher {
  push(jobs: readonly PushJob[], call: Call): Promise<readonly Pushed[]>;
  /** A job came back to this process, whatever the broker has not said yet: it is stored. */
  arrived(topic: string, id: string): void;
  /** Ends the publications under way: whether their jobs were stored is unknown. */
  close(error: Error): void;
}

/** The parts that publishing needs. */
export interface Press {
  readonly runtime: Runtime;
  readonly alarms: Alarms;
  readonly publish: Publish;
  readonly ids: Ids;
  /** The queues in which a job of this topic would be. */
  readonly copies: (topic: string) => readonly string[];
}

/** Makes a publisher. */
export function createPublisher(press: Press): Publisher {
  /** Ends of publications under way, by topic and id. */
  const flights = new Map<string, (pushed: Pushed) => void>();
  const unfinished = new Set<(error: Error) => void>();

  function send(job: PushJob, call: Call, done: (pushed: Pushed) => void): void {
    const { runtime, publish, ids, copies } = press;
    const { queue: topic, id, idWindow } = job;
    if (idWindow !== undefined) {
      if (ids.isTaken(topic, id, copies(topic))) return done("duplicate");
      ids.claim(topic, id);
    }
    const until = idWindow === undefined || idWindow === 0 ? undefined : ids.endOf(idWindow);
    const key = keyOf(topic, id);
    let over = false;
    const end = (pushed: Pushed): void => {
      if (over) return;
      over = true;
      if (flights.get(key) === end) flights.delete(key);
      if (idWindow !== undefined) ids.release(topic, id, pushed === "stored" ? until : undefined);
      done(pushed);
    };
    flights.set(key, end);
    try {
      const answer = publish(topic, write(job, runtime.now()), call);
      if (isPromise(answer)) answer.then(() => end("stored"), (thrown) => end(failureOf(topic, thrown)));
      else end("stored");
    } catch (thrown) {
      end(failureOf(topic, thrown));
    }
  }

  return {
    push: (jobs, call) =>
      new Promise((resolve, reject) => {
        const results: (Pushed | undefined)[] = jobs.map(() => undefined);
        let left = jobs.length;
        let finish = (): void => resolve(results as Pushed[]);
        jobs.forEach((job, index) =>
          send(job, call, (pushed) => {
            results[index] = pushed;
            if (--left === 0) finish();
          })
        );
        if (left === 0) return finish();
        // Some are still under way.
        const end = (ending: () => void): void => {
          alarm.cancel();
          call.signal?.removeEventListener("abort", abort);
          unfinished.delete(giveUp);
          ending();
        };
        const giveUp = (error: Error): void =>
          end(() => resolve(jobs.map(({ id }, index) => results[index] ?? new OutcomeUnknown(id, error))));
        const abort = (): void => end(() => reject(call.signal?.reason));
        const late = (): void => giveUp(new DeadlineExceeded("hear from the broker", call.deadline));
        const alarm = press.alarms.set(call.deadline, late);
        finish = () => end(() => resolve(results as Pushed[]));
        call.signal?.addEventListener("abort", abort, { once: true });
        unfinished.add(giveUp);
      }),
    arrived: (topic, id) => flights.get(keyOf(topic, id))?.("stored"),
    close(error) {
      for (const giveUp of unfinished) giveUp(error);
    },
  };
}

function keyOf(topic: string, id: string): string {
  return `${topic}\0${id}`;
}

/** The error of a broker, as one of ours; its author may say so with an error of ours. */
function failureOf(topic: string, cause: unknown): Error {
  if (cause instanceof RelevoError) return cause;
  return new TransportError("TRANSPORT_UNAVAILABLE", `The broker refused a job for '${topic}'`, { cause });
}
