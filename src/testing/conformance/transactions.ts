/**
 * Jobs that join a transaction of the caller's: there when it commits, as if they had never been when it does not.
 *
 * @module
 */

import type { Transactions } from "../../contract/transport.ts";
import { equal, ok } from "./assert.ts";
import { counted, job, type Lab } from "./lab.ts";
import { type Claim, claim } from "./claim.ts";
import type { SubjectTransaction } from "./subject.ts";

async function begin(lab: Lab): Promise<{ inside: Transactions; transaction: SubjectTransaction }> {
  const { transactions } = lab.t;
  const transaction = await lab.subject.transaction?.(lab.store);
  ok(transactions !== undefined && transaction !== undefined, "a transport and a subject with transactions");
  return { inside: transactions, transaction };
}

/** The cases of the group. */
export const TRANSACTIONS: readonly Claim[] = [
  claim("a job pushed in a transaction is there when it commits, not before", async (lab) => {
    const { inside, transaction } = await begin(lab);
    equal(await inside.push(transaction.handle, [job({ id: "1" })], lab.call), ["stored"], "push");
    await lab.holds(counted(), "info before the commit");
    await transaction.commit();
    await lab.holds(counted({ waiting: 1 }), "info after the commit");
    equal((await lab.come()).map(({ id }) => id), ["1"], "deliveries");
  }, "transaction"),
  claim("a job pushed in a transaction that is rolled back never was", async (lab) => {
    const { inside, transaction } = await begin(lab);
    const pushed = job({ id: "x", idWindow: lab.long });
    equal(await inside.push(transaction.handle, [pushed], lab.call), ["stored"], "push");
    await transaction.rollback();
    await lab.holds(counted(), "info");
    equal(await lab.t.push([pushed], lab.call), ["stored"], "push of the same id");
  }, "transaction"),
  claim(
    "a push in a transaction refuses an id that is taken",
    async (lab) => {
      await lab.push({ id: "x", idWindow: lab.long });
      const { inside, transaction } = await begin(lab);
      const jobs = [job({ id: "x", idWindow: lab.long }), job({ id: "y" })];
      equal(await inside.push(transaction.handle, jobs, lab.call), ["duplicate", "stored"], "push");
      await transaction.commit();
      await lab.holds(counted({ waiting: 2 }), "info");
    },
    "transaction",
    "idLive",
  ),
  claim("a commit wakes who waits", async (lab) => {
    const waiting = lab.take(1, { wait: lab.long });
    await lab.elapse(lab.ms(50));
    const { inside, transaction } = await begin(lab);
    await inside.push(transaction.handle, [job({ id: "1" })], lab.call);
    await transaction.commit();
    equal(
      (await lab.within(waiting, lab.ms(2_000), "the reserve that waits")).map(({ id }) => id),
      ["1"],
      "ids",
    );
  }, "transaction"),
  claim("a settle in a transaction counts when it commits", async (lab) => {
    await lab.push({ id: "1" });
    const { queue, token } = await lab.one();
    const { inside, transaction } = await begin(lab);
    equal(
      await inside.settle(transaction.handle, [{ queue, token, to: "done" }], lab.call),
      ["settled"],
      "settle",
    );
    await lab.holds(counted({ reserved: 1 }), "info before the commit");
    await transaction.commit();
    await lab.holds(counted(), "info after the commit");
    equal(await lab.t.settle([{ queue, token, to: "done" }], lab.call), ["stale"], "second settle");
  }, "transaction"),
  claim("a settle in a transaction that is rolled back never was", async (lab) => {
    await lab.push({ id: "1" });
    const delivery = await lab.one();
    const { queue, token } = delivery;
    const { inside, transaction } = await begin(lab);
    const dead = { queue, token, to: "failed", meta: "m", reason: "r" } as const;
    equal(await inside.settle(transaction.handle, [dead], lab.call), ["settled"], "settle");
    await transaction.rollback();
    await lab.holds(counted({ reserved: 1 }), "info");
    equal(await lab.settle(delivery, { to: "done" }), "settled", "settle afterwards");
  }, "transaction"),
  claim("a stale settle in a transaction changes nothing and says stale", async (lab) => {
    const { inside, transaction } = await begin(lab);
    const settled = inside.settle(
      transaction.handle,
      [{ queue: "work", token: "never given", to: "done" }],
      lab.call,
    );
    equal(await settled, ["stale"], "settle");
    await transaction.commit();
  }, "transaction"),
];
