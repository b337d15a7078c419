/** The conformance suite as tests on a Redis server that its cases share. */
import { expect, test } from "vitest";
import { type Case, conformance, type Need, type Subject } from "../../../src/testing/mod.ts";
import type { Features } from "../../../src/contract/transport.ts";
import { TOGETHER } from "../../web/support/subjects.ts";
import { kept } from "./not_yet.ts";
import { casesOf } from "../../web/support/real_clock.ts";

/** What a case does to the whole server, and by the real clock only: it must not have company. */
export const WHOLE_SERVER: readonly Need[] = ["restart", "pause"];
/** Milliseconds that a case by the real clock may take while others run beside it, played again included. */
const PATIENCE = 120_000;

/**
 * The cases one after another, for a subject whose clock is moved by hand. A server restarts by the real clock only:
 * those cases are `examineTogether`'s.
 */
export function examineInTurn(subject: Subject): void {
  for (const { group, name, needs, run } of kept(conformance(subject), "Redis")) {
    if (!needs.some((need) => WHOLE_SERVER.includes(need))) test(`${group}: ${name}`, run, PATIENCE);
  }
}

/**
 * The cases several at a time, as most of their time is waiting. Those that restart the server, or have the machine
 * to do, run alone. `without` names what the subject does otherwise, and has tests of its own for.
 */
export function examineTogether(subject: Subject, without: readonly string[] = []): void {
  const alone = (one: Case): boolean =>
    one.group === "stress" || one.needs.some((need) => WHOLE_SERVER.includes(need));
  const cases = (scale: number): readonly Case[] =>
    kept(casesOf((times) => ({ ...subject, scale: times * scale })), "Redis")
      .filter(({ name }) => !without.includes(name));
  for (const one of cases(1).filter(alone)) test(`${one.group}: ${one.name}`, one.run, PATIENCE);
  for (const one of cases(TOGETHER).filter((each) => !alone(each))) {
    test.concurrent(`${one.group}: ${one.name}`, one.run, PATIENCE);
  }
}

/** The features that a transport declares are those of the design's table. */
export function declares(subject: Subject, features: Features): void {
  test("it declares the features of the design's table", async () => {
    const store = "relevo-features";
    const transport = await subject.create(store);
    expect(transport.features).toEqual(features);
    await transport[Symbol.asyncDispose]();
    await subject.destroy?.(store);
  });
}
