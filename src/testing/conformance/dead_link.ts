/**
 * A link may be dead and not look so: the server takes bytes, and answers nothing. Every call ends in
 * its time all the same, and jobs that it left behind are found when the link is alive again.
 *
 * @module
 */

import type { Call } from "../../jobs/exchange.ts";
import { equal, ok } from "./assert.ts";
import { type Claim, claim } from "./claim.ts";
import { counted, job, type Lab } from "./lab.ts";

/** Milliseconds that a call over the dead link may take. */
const DEADLINE = 500;
/** How long after that it may end at the latest: the link's own checks must not add to a deadline. */
const LATE = 1_500;

/** The fate of a call. */
type End<T> = { readonly value: T } | { readonly reason: unknown };

/** Makes a call while nothing answers; it ends in time, and says the reason with a code. */
async function overDeadLink<T>(lab: Lab, name: string, run: (call: Call) => Promise<T>): Promise<End<T>> {
  const resume = await lab.subject.pause?.(lab.store);
  ok(resume !== undefined, "a way to let the link live again");
  try {
    const answer: Promise<End<T>> = run({ deadline: lab.ms(DEADLINE) }).then(
      (value) => ({ value }),
      (reason: unknown) => ({ reason }),
    );
    const end = await lab.within(answer, lab.ms(DEADLINE + LATE), `the end of ${name}`);
    if ("reason" in end) typed(end.reason, name);
    return end;
  } finally {
    await resume();
  }
}

function typed(reason: unknown, name: string): void {
  ok(reason instanceof Error && "code" in reason, `a typed error from ${name} (found ${String(reason)})`);
}

/** Repeats a call whose items may be errors until none is. */
function answered<T>(lab: Lab, run: () => Promise<readonly (T | Error)[]>): Promise<readonly T[]> {
  return lab.eventually(async () => {
    const answers = await run();
    return answers.map((answer) => {
      if (answer instanceof Error) throw answer;
      return answer;
    });
  });
}

async function push(lab: Lab): Promise<void> {
  const pushed = job({ id: "1", idWindow: lab.long });
  const end = await overDeadLink(lab, "push", (call) => lab.t.push([pushed], call));
  const [first] = "value" in end ? end.value : [];
  if (first instanceof Error) typed(first, "push");
  const again = await answered(lab, () => lab.t.push([pushed], lab.call));
  if (first === "stored") equal(again, ["duplicate"], "the same push again");
  equal((await lab.eventually(() => lab.come(9))).map(({ id }) => id), ["1"], "what is there");
}

async function reserve(lab: Lab, wait: number): Promise<void> {
  await lab.push({ id: "1" });
  if (wait > 0) await lab.one();
  const options = { queues: ["work"], limit: 1, slots: 1, lease: lab.brief, wait };
  const end = await overDeadLink(
    lab,
    "reserve",
    (call) => lab.t.reserve(options.queues, { ...options, ...call }),
  );
  if (wait > 0) await answered(lab, () => lab.t.push([job({ id: "2", idWindow: lab.long })], lab.call));
  const [delivery] = "value" in end ? end.value : [];
  if (delivery !== undefined) await lab.eventually(() => lab.settle(delivery, { to: "release" }));
  // It may have been handed over and not received, and is back when that lease is over.
  const wanted = wait > 0 ? "2" : "1";
  equal((await lab.eventually(() => lab.come(9))).map(({ id }) => id), [wanted], "what comes");
}

async function extend(lab: Lab): Promise<void> {
  await lab.push({ id: "1" });
  const { queue, token } = await lab.one();
  const lease = { queue, token, ms: lab.long };
  const end = await overDeadLink(lab, "extend", (call) => lab.t.extend([lease], call));
  const [first] = "value" in end ? end.value : [];
  if (first instanceof Error) typed(first, "extend");
  const again = await answered(lab, () => lab.t.extend([lease], lab.call));
  equal(again.map(({ state }) => state), ["held"], "the same extend again");
}

async function settle(lab: Lab): Promise<void> {
  await lab.push({ id: "1" });
  const { queue, token } = await lab.one();
  const done = { queue, token, to: "done" } as const;
  const end = await overDeadLink(lab, "settle", (call) => lab.t.settle([done], call));
  const [first] = "value" in end ? end.value : [];
  if (first instanceof Error) typed(first, "settle");
  const [again] = await answered(lab, () => lab.t.settle([done], lab.call));
  ok(again === "settled" || again === "stale", "the same settle again is settled or stale");
  if (first === "settled") equal(again, "stale", "the same settle again");
  await lab.eventually(() => lab.counts());
  await lab.holds(counted(), "info");
}

async function info(lab: Lab): Promise<void> {
  await lab.push({ id: "1" });
  const end = await overDeadLink(lab, "info", (call) => lab.t.info("work", call));
  if ("value" in end && lab.t.features.exactInfo) equal(end.value.waiting, 1, "waiting");
  await lab.eventually(() => lab.counts());
  await lab.holds(counted({ waiting: 1 }), "info afterwards");
}

/** The cases of the group. */
export const DEAD_LINK: readonly Claim[] = [
  claim(
    "a push over a dead link ends in time, and its job is stored once when it is repeated",
    push,
    "pause",
  ),
  claim(
    "a reserve over a dead link ends in time, and its job is not lost",
    (lab) => reserve(lab, 0),
    "pause",
  ),
  claim(
    "a reserve that waits over a dead link ends in time, and the next job comes",
    (lab) => reserve(lab, lab.ms(300)),
    "pause",
  ),
  claim("an extend over a dead link ends in time, and may be repeated", extend, "pause"),
  claim("a settle over a dead link ends in time, and may be repeated", settle, "pause"),
  claim("a look at a queue over a dead link ends in time", info, "pause"),
];
