/**
 * The server of the store may go away and come back: no stored job is lost by that.
 *
 * @module
 */

import type { Delivery } from "../../jobs/exchange.ts";
import { equal, ok } from "./assert.ts";
import { counted, job, type Lab } from "./lab.ts";
import { type Claim, claim } from "./claim.ts";

/** Looks at leftovers before there must be none. */
const LOOKS = 200;

async function restart(lab: Lab): Promise<void> {
  await lab.subject.restart?.(lab.store);
}

async function everyChannel(lab: Lab): Promise<void> {
  await lab.push({ id: "1" }, { id: "2" }, { id: "3" }, { id: "4", delay: lab.long });
  const [failed, held] = await lab.take(2);
  ok(failed !== undefined && held !== undefined, "two deliveries");
  await lab.settle(failed, { to: "failed", meta: "m", reason: "r" });
  await restart(lab);
  const wanted = counted({ waiting: 1, delayed: 1, reserved: 1, failed: 1 });
  await lab.eventually(() => lab.counts());
  await lab.holds(wanted, "info after the restart");
  equal((await lab.entry("4"))?.channel, "delayed", "the delayed job");
  equal((await lab.entry("1"))?.channel, "failed", "the dead job");
  equal((await lab.one()).id, "3", "the waiting job");
}

/** Ten thousand jobs, two restarts in the middle: each is handled at least once, and none is left. */
async function tenThousand(lab: Lab): Promise<void> {
  const total = 10_000;
  for (let from = 0; from < total; from += 1_000) {
    await lab.push(...Array.from({ length: 1_000 }, (_, n) => ({ id: `${from + n}` })));
  }
  const seen = new Set<string>();
  const restarts = [total / 4, total / 2];
  for (let idle = 0; seen.size < total;) {
    const deliveries = await lab.eventually(() => lab.come(250, { lease: lab.ms(5_000) }));
    idle = deliveries.length > 0 ? 0 : idle + 1;
    ok(idle < LOOKS, `${total} jobs (found only ${seen.size})`);
    if (seen.size >= (restarts[0] ?? Infinity)) {
      restarts.shift();
      await restart(lab);
    }
    const done = deliveries.map(({ queue, token }) => ({ queue, token, to: "done" as const }));
    const results = await lab.eventually(() => lab.t.settle(done, lab.call));
    for (const [n, { id }] of deliveries.entries()) if (results[n] !== undefined) seen.add(id);
  }
  for (let looks = 0; looks < LOOKS; looks++) {
    const rest: readonly Delivery[] = await lab.come(250, { wait: lab.ms(100) });
    for (const delivery of rest) await lab.settle(delivery, { to: "done" });
    const { waiting, reserved } = await lab.counts();
    if (waiting + reserved === 0) return;
    await lab.elapse(lab.ms(100));
  }
  await lab.holds(counted(), "info at the end");
}

/** The cases of the group. */
export const CONNECTION: readonly Claim[] = [
  claim(
    "jobs in every channel survive a restart, for a client that was open before",
    everyChannel,
    "restart",
  ),
  claim("a client that was open before a restart works after it", async (lab) => {
    await lab.push({ id: "1" });
    for (let n = 0; n < 2; n++) {
      await restart(lab);
      const delivery = (await lab.eventually(() => lab.come()))[0];
      ok(delivery !== undefined, "the job");
      equal(delivery.lost, 0, "lost");
      equal(await lab.eventually(() => lab.settle(delivery, { to: "release" })), "settled", "release");
    }
  }, "restart"),
  claim("a delivery from before a restart may still be settled, or comes back", async (lab) => {
    await lab.push({ id: "1" });
    const delivery = await lab.one({ lease: lab.ms(2_000) });
    await restart(lab);
    const result = await lab.eventually(() => lab.settle(delivery, { to: "done" }));
    if (result === "settled") return await lab.holds(counted(), "info");
    await lab.elapse(lab.ms(2_500));
    equal((await lab.come()).map(({ id }) => id), ["1"], "what came back");
  }, "restart"),
  claim(
    "a reserve that waits through a restart ends with a job or a typed error, and no job is lost",
    async (lab) => {
      const waiting = lab.take(1, { wait: lab.ms(20_000) }).catch((reason: unknown) => reason);
      await lab.elapse(lab.ms(50));
      await restart(lab);
      await lab.eventually(() => lab.t.push([job({ id: "1", idWindow: lab.long })], lab.call));
      const end = await lab.within(waiting, lab.ms(30_000), "the reserve's end");
      if (Array.isArray(end) && end.length > 0) return;
      ok(Array.isArray(end) || (end instanceof Error && "code" in end), "deliveries or a typed error");
      equal((await lab.eventually(() => lab.come())).map(({ id }) => id), ["1"], "the job");
    },
    "restart",
  ),
  claim(
    "an id's job is stored once, however often its push is repeated around a restart",
    async (lab) => {
      const pushed = job({ id: "x", idWindow: lab.long });
      await lab.t.push([pushed], lab.call);
      await restart(lab);
      equal(await lab.eventually(() => lab.t.push([pushed], lab.call)), ["duplicate"], "the second push");
      await lab.holds(counted({ waiting: 1 }), "info");
    },
    "restart",
    "idWindow",
  ),
  claim("ten thousand jobs survive two restarts in their middle", tenThousand, "restart"),
];
