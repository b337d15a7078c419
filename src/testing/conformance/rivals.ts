/**
 * Operators at one moment: each job is the one's or the other's, and both are told so.
 *
 * @module
 */

import type { Selection } from "../../jobs/exchange.ts";
import { equal } from "./assert.ts";
import { type Claim, claim } from "./claim.ts";
import { counted, type Lab } from "./lab.ts";

const JOBS = 40;
const IDS: readonly string[] = Array.from({ length: JOBS }, (_, n) => `${n}`);

/** Lets all jobs die. */
async function buryAll(lab: Lab): Promise<void> {
  await lab.push(...IDS.map((id) => ({ id, name: "n" })));
  const dead = (await lab.take(JOBS)).map(({ queue, token }) => ({
    queue,
    token,
    to: "failed" as const,
    meta: "m",
    reason: "r",
  }));
  equal(await lab.t.settle(dead, lab.call), IDS.map(() => "settled"), "burying");
}

/** Takes and ends all that comes; so many jobs must come, and none that another call removed. */
async function runsOnce(lab: Lab, wanted: number): Promise<void> {
  await lab.holds(counted({ waiting: wanted }), "info behind both");
  const ran: string[] = [];
  while (ran.length < wanted) {
    const found = await lab.come(JOBS);
    if (found.length === 0) break;
    for (const delivery of found) {
      equal(await lab.settle(delivery, { to: "done" }), "settled", "settle");
      ran.push(delivery.id);
    }
  }
  equal([ran.length, new Set(ran).size], [wanted, wanted], "jobs that ran, and different ones");
  await lab.holds(counted(), "info at the end");
}

function removedBeside(select: Selection): (lab: Lab) => Promise<void> {
  return async (lab) => {
    const other = lab.t.features.shared ? await lab.open() : lab.t;
    for (const isFirst of [true, false]) {
      await buryAll(lab);
      const reload = (): Promise<{ readonly reloaded: number; readonly taken: number }> =>
        lab.t.reload("work", "failed", select, { ...lab.call, reset: false });
      const begun = isFirst ? reload() : undefined;
      const removing = other.remove("work", "failed", select, lab.call);
      const [{ reloaded, taken }, removed] = await Promise.all([begun ?? reload(), removing]);
      equal([reloaded + removed, taken], [JOBS, 0], `reloaded ${reloaded} and removed ${removed}: the sum`);
      await runsOnce(lab, reloaded);
    }
  };
}

async function reloadedTwice(lab: Lab): Promise<void> {
  const other = lab.t.features.shared ? await lab.open() : lab.t;
  await buryAll(lab);
  const both = await Promise.all(
    [lab.t, other].map((t) => t.reload("work", "failed", "all", { ...lab.call, reset: false })),
  );
  equal(both.reduce((sum, { reloaded }) => sum + reloaded, 0), JOBS, "reloaded by both");
  equal(both.map(({ taken }) => taken), [0, 0], "taken");
  await runsOnce(lab, JOBS);
}

async function removedTwice(lab: Lab): Promise<void> {
  const other = lab.t.features.shared ? await lab.open() : lab.t;
  await buryAll(lab);
  const both = await Promise.all(
    [lab.t, other].map((t) => t.remove("work", "failed", { name: "n" }, lab.call)),
  );
  equal(both.reduce((sum, removed) => sum + removed, 0), JOBS, "removed by both");
  await runsOnce(lab, 0);
}

/** Delayed jobs that fall due while they are removed: what was counted as removed never runs, all else does. */
async function removedAsDue(lab: Lab): Promise<void> {
  await lab.push(...IDS.map((id, n) => ({ id, name: "n", delay: lab.ms(100 + 10 * n) })));
  let removed = 0;
  for (let n = 0; n < JOBS / 4; n++) {
    await lab.elapse(lab.ms(40));
    removed += await lab.t.remove("work", "delayed", { ids: IDS.slice(4 * n, 4 * n + 4) }, lab.call);
  }
  await lab.elapse(lab.ms(200) + lab.slack);
  await runsOnce(lab, JOBS - removed);
}

/** The cases of two operators. */
export const RIVALS: readonly Claim[] = [
  claim(
    "a dead job that is reloaded and flushed at one moment is one's or the other's",
    removedBeside("all"),
  ),
  claim(
    "a dead job that is reloaded and removed by id at one moment is one's or the other's",
    removedBeside({ ids: IDS }),
  ),
  claim(
    "a dead job that is reloaded and removed by name at one moment is one's or the other's",
    removedBeside({ name: "n" }),
  ),
  claim("a dead job that two calls reload at one moment is counted by one, and runs once", reloadedTwice),
  claim("a dead job that two calls remove at one moment is counted by one", removedTwice),
  claim("a delayed job that falls due while it is removed is removed, or runs", removedAsDue),
];
