/**
 * A look at the store for causes of lost jobs: it says how bad each thing is and names a remedy, and changes nothing.
 *
 * @module
 */

import type { Diagnosis } from "../../contract/diagnosis.ts";
import { between, equal, ok } from "./assert.ts";
import { type Claim, claim } from "./claim.ts";
import { counted, type Lab } from "./lab.ts";

const SEVERITIES: readonly string[] = ["danger", "warning", "ok", "unseen"];

async function diagnosis({ t, call }: Lab): Promise<Diagnosis> {
  const found = await t.diagnose?.(call);
  ok(found !== undefined, "a diagnosis");
  return found;
}

/** The cases of the group. */
export const DIAGNOSE: readonly Claim[] = [
  claim("a diagnosis says of each thing how bad it is, and where it is not well what to do", async (lab) => {
    await lab.push({ id: "1" });
    const { findings } = await diagnosis(lab);
    ok(findings.length > 0, "a finding");
    for (const { check, severity, says, advice } of findings) {
      ok(check !== "" && says !== "", "what was looked at, and what is the case");
      ok(SEVERITIES.includes(severity), `a severity that there is (found '${severity}' of '${check}')`);
      ok(severity === "ok" || (advice ?? "") !== "", `what to do about '${says}'`);
    }
  }, "diagnose"),
  claim("a diagnosis changes nothing, and needs no queue", async (lab) => {
    await diagnosis(lab);
    equal(await lab.t.queues(lab.call), [], "queues");
    await lab.push({ id: "1" }, { id: "2", delay: lab.long });
    await diagnosis(lab);
    await lab.holds(counted({ waiting: 1, delayed: 1 }), "info");
  }, "diagnose"),
  claim("the clock of a diagnosis is the one that judges due times", async (lab) => {
    await lab.push({ id: "1" });
    const before = lab.now();
    const { clock } = await diagnosis(lab);
    const isServers = lab.t.features.clock === "server";
    equal(clock !== undefined, isServers, "that a clock which is not the caller's own is told");
    if (clock !== undefined) between(clock, before - lab.slack, lab.now() + lab.slack, "the clock");
  }, "diagnose"),
  claim("a diagnosis that is aborted rejects with the reason", async (lab) => {
    const reason = new Error("aborted by the case");
    const signal = AbortSignal.abort(reason);
    const thrown = await lab.t.diagnose?.({ ...lab.call, signal }).then(() => undefined, (error) => error);
    equal(thrown, reason, "what it rejects with");
  }, "diagnose"),
];
