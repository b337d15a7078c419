/**
 * A wall clock that jumps may delay or repeat a run; it never loses a job.
 *
 * @module
 */

import { equal, ok } from "./assert.ts";
import { counted, type Lab } from "./lab.ts";
import { type Claim, claim } from "./claim.ts";

const HOUR = 3_600_000;

/** One job waits, one is delayed, one is held; then the clock jumps, and all must come in the end. */
async function jump(lab: Lab, ms: number): Promise<void> {
  await lab.push({ id: "held" }, { id: "waiting" }, { id: "delayed", delay: lab.ms(500) });
  const held = await lab.one({ lease: lab.brief });
  lab.subject.step?.(ms);
  const seen = new Set((await lab.come(10)).map(({ id }) => id));
  ok(seen.has("waiting"), "the waiting job at once");
  await lab.push({ id: "later" });
  for (let n = 0; n < 8 && seen.size < 4; n++) {
    await lab.elapse(HOUR / 4);
    for (const { id } of await lab.come(10, { lease: 10 * HOUR })) seen.add(id);
  }
  equal([...seen].sort(), ["delayed", "held", "later", "waiting"], "jobs that came");
  equal(await lab.settle(held, { to: "done" }), "stale", "late settle");
  await lab.holds(counted({ reserved: 4 }), "info");
}

/** The cases of the group. */
export const CLOCK: readonly Claim[] = [
  claim("a wall clock that steps back an hour loses no job", (lab) => jump(lab, -HOUR), "step"),
  claim("a wall clock that leaps ahead an hour loses no job", (lab) => jump(lab, HOUR), "step"),
  claim("a job pushed after the clock stepped back runs as soon as it is due", async (lab) => {
    await lab.push({ id: "before" });
    lab.subject.step?.(-HOUR);
    await lab.push({ id: "after" });
    const seen = (await lab.come(10)).map(({ id }) => id).sort();
    ok(seen.includes("after"), "the job pushed afterwards");
  }, "step"),
];
