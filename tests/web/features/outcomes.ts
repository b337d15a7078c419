/** Outcomes and what says when a job runs again: F008, F086, F129, F131 to F134, F143. */
import { expect, it } from "vitest";
import {
  after,
  complete,
  deadLetter,
  type Recurrence,
  reschedule,
  retry,
  UnknownJobError,
} from "../../../mod.ts";
import { bytes, free, heard } from "../support/kit.ts";
import type { OpenPlace } from "../support/place.ts";

const jobs = { job: free<string>() };

export function outcomes(open: OpenPlace): void {
  it("F008: a function and an object with `handle` are handlers alike", async () => {
    const relay = open().relay({ a: free<string>(), b: free<string>() });
    const seen: string[] = [];
    relay.handle("a", (payload) => void seen.push(payload));
    relay.handle("b", { handle: (payload: string) => void seen.push(payload) });
    await relay.dispatch("a", "function");
    await relay.dispatch("b", "object");
    await relay.drain();
    expect(seen).toEqual(["function", "object"]);
  });

  it("F086: a relay shows its transport, for operators", async () => {
    const relay = open().relay(jobs);
    await relay.dispatch("job", "x");
    expect(await relay.transport.info("default", { deadline: 1_000 })).toMatchObject({ waiting: 1 });
  });

  it("F129: after(24 h) is a delay of 24 h, whatever the time", () => {
    const now = Date.UTC(2001, 0, 1);
    expect(after(86_400_000).next({ now, due: now })).toEqual({ delay: 86_400_000 });
  });

  it("F131, F132, W86: a recurrence of the user's own says when, and a new payload is what the next run gets", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const soon: Recurrence = { next: () => ({ delay: 5 }) };
    const seen: [string, number][] = [];
    relay.handle("job", (payload, { attempt }) => {
      seen.push([payload, attempt]);
      if (payload === "first") return reschedule(soon, { payload: "" });
      return seen.length === 2 ? reschedule(soon) : undefined;
    });
    await relay.dispatch("job", "first");
    for (let n = 0; n < 3; n++) {
      await relay.drain();
      await runtime.advance(1_000);
    }
    expect(seen).toEqual([["first", 1], ["", 1], ["", 1]]);
  });

  it("F133: a recurrence that fails makes the job dead, and says why", async () => {
    const relay = open().relay(jobs);
    const failed = heard(relay.events, "failed");
    const broken: Recurrence = {
      next: () => {
        throw new Error("no such day");
      },
    };
    relay.handle("job", () => reschedule(broken));
    await relay.dispatch("job", "x");
    await relay.drain();
    expect(failed).toMatchObject([
      { reason: "reschedule", error: { message: "failed to reschedule: no such day" } },
    ]);
  });

  it("F134: each outcome says one thing, with its details", () => {
    const error = new Error("no");
    expect(complete()).toMatchObject({ kind: "complete" });
    expect(retry({ delay: 5, error })).toMatchObject({ kind: "retry", delay: 5, error });
    expect(deadLetter({ error })).toMatchObject({ kind: "deadLetter", reason: "refused", error });
    expect(reschedule(after(5))).toMatchObject({ kind: "reschedule", next: undefined, keepAttempts: false });
    expect(reschedule(after(5), { payload: undefined })).toMatchObject({ next: { payload: undefined } });
  });

  it("F143: with `unknown: dead` a name without a handler is dead at once, with an error of its own", async () => {
    const { transport, ...place } = open();
    const relay = place.relay(jobs);
    const failed = heard(relay.events, "failed");
    relay.handle("job", () => undefined);
    const unknown = { queue: "default", id: "1", name: "nobody's", payload: bytes("1"), meta: "" };
    await transport.push([unknown], { deadline: 1_000 });
    await relay.drain({ unknown: "dead" });
    expect(failed).toMatchObject([{ reason: "unknown" }]);
    expect(failed[0]?.error).toBeInstanceOf(UnknownJobError);
  });
}
