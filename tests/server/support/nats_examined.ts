/** The conformance suite as tests on NATS. */
import { test } from "vitest";
import type { Case, Subject } from "../../../src/testing/mod.ts";
import { declares, WHOLE_SERVER } from "./examined.ts";
import { NATS_FEATURES, type NatsGround, natsSubject } from "./nats_subjects.ts";
import { kept } from "./not_yet.ts";
import { casesOf } from "../../web/support/real_clock.ts";

/** Milliseconds that a case may take while others run beside it, played again included. */
const PATIENCE = 180_000;
/** Many cases at a time share two cores, and the leases are the server's; several servers take longer over each. */
const TOGETHER = 3;
const REPLICATED = 5;
/** Milliseconds of a lease that outlasts a restart of the server. */
const OUTLASTING = 5_000;

/** Every case: first those that restart the server or keep the machine busy, each alone. */
export function examineNats(name: string, ground: NatsGround): void {
  for (const one of kept(casesOf((scale) => natsSubject(name, ground, { scale })), "NATS")) {
    if (one.group === "stress") examine(one, test);
  }
  const outlasting = (scale: number): Subject =>
    natsSubject(name, ground, { scale, ackWait: OUTLASTING * scale });
  for (const one of kept(casesOf(outlasting), "NATS")) {
    if (one.needs.some((need) => WHOLE_SERVER.includes(need))) examine(one, test);
  }
  examineTogether(name, ground);
}

/** Those cases, many at a time, that neither restart the server nor keep the machine busy. */
export function examineTogether(name: string, ground: NatsGround): void {
  const scale = ground.replicas === undefined ? TOGETHER : REPLICATED;
  const subject = (times: number): Subject => natsSubject(name, ground, { scale: times * scale });
  declares(subject(1), NATS_FEATURES);
  for (const one of kept(casesOf(subject), "NATS")) {
    if (one.group !== "stress" && !one.needs.some((need) => WHOLE_SERVER.includes(need))) {
      examine(one, test.concurrent);
    }
  }
}

function examine({ group, name, run }: Case, how: typeof test | typeof test.concurrent): void {
  how(`${group}: ${name}`, run, PATIENCE);
}
