/**
 * A closed transport says so, always in the same way, and takes no other transport with it.
 *
 * @module
 */

import type { Transport } from "../../contract/transport.ts";
import { equal, ok, rejects } from "./assert.ts";
import { counted, job, type Lab, QUEUE } from "./lab.ts";
import { type Claim, claim } from "./claim.ts";

const CLOSED = "TRANSPORT_CLOSED";

function codeOf(reason: unknown): unknown {
  return reason instanceof Error && "code" in reason ? reason.code : reason;
}

async function close(t: Transport): Promise<void> {
  await t[Symbol.asyncDispose]();
}

/** Every verb, called on a closed transport. */
async function everyCall(lab: Lab): Promise<void> {
  await lab.push({ id: "1" });
  const { queue, token } = await lab.one();
  await close(lab.t);
  const { t, call } = lab;
  const calls: Readonly<Record<string, () => Promise<unknown>>> = {
    push: () => t.push([job()], call),
    "push of nothing": () => t.push([], call),
    reserve: () => lab.take(),
    "reserve that waits": () => lab.take(1, { wait: lab.long }),
    extend: () => t.extend([{ queue, token, ms: 1_000 }], call),
    settle: () => t.settle([{ queue, token, to: "done" }], call),
    info: () => t.info(queue, call),
    queues: () => t.queues(call),
    list: () => t.list(queue, "waiting", { limit: 1, preview: 0 }, call),
    get: () => t.get(queue, ["1"], call),
    reload: () => t.reload(queue, "failed", "all", { ...call, reset: false }),
    remove: () => t.remove(queue, "waiting", "all", call),
  };
  const messages = new Set<string>();
  for (const [name, run] of Object.entries(calls)) {
    const reason = await rejects(run(), name);
    equal(codeOf(reason), CLOSED, `code of the rejection of ${name}`);
    ok(reason instanceof Error && reason.name === "TransportClosed", `a TransportClosed from ${name}`);
    messages.add(reason.message);
  }
  equal(messages.size, 1, "different messages");
}

/** The cases of the group. */
export const CLOSE: readonly Claim[] = [
  claim("closing twice, and at once, is closing", async ({ t }) => {
    await Promise.all([close(t), close(t)]);
    await close(t);
  }),
  claim("every call after closing rejects with the same error", everyCall),
  claim("closing ends a reserve that waits", async (lab) => {
    const waiting = [lab.take(1, { wait: lab.long }), lab.take(1, { wait: lab.long, queues: ["a", "b"] })];
    const reasons = waiting.map((answer) => rejects(answer, "the reserve that waited"));
    await lab.elapse(lab.ms(50));
    await close(lab.t);
    for (const reason of reasons) {
      equal(codeOf(await lab.within(reason, lab.ms(2_000), "its end")), CLOSED, "code");
    }
  }),
  claim("closing ends a call under way, or lets it finish", async (lab) => {
    const calls = [lab.push({ id: "1" }), lab.counts(), lab.take(1)].map((call) =>
      call.then(() => "finished", (reason: unknown) => codeOf(reason))
    );
    await close(lab.t);
    for (const call of calls) {
      const end = await lab.within(call, lab.ms(5_000), "the call's end");
      ok(end === "finished" || end === CLOSED, `an end or a typed error (found ${String(end)})`);
    }
  }),
  claim("closing one client leaves the others and their waits alone", async (lab) => {
    const second = await lab.open();
    const waiting = lab.take(1, { wait: lab.long });
    await lab.elapse(lab.ms(50));
    await close(second);
    await lab.push({ id: "1" });
    equal((await lab.within(waiting, lab.ms(2_000), "the other's reserve"))[0]?.id, "1", "id");
  }, "shared"),
  claim("what a closed client held comes back when its lease ends", async (lab) => {
    const second = await lab.open();
    await lab.push({ id: "1" });
    await lab.one({ from: second, lease: lab.brief });
    await close(second);
    await lab.expire();
    equal((await lab.come()).map(({ id }) => id), ["1"], "ids");
  }, "shared"),
  claim("all that was stored is there when the store is opened again", async (lab) => {
    await lab.push({ id: "1" }, { id: "2" }, { id: "3" }, { id: "4", delay: lab.long });
    const [first] = await lab.take(2);
    ok(first !== undefined, "a delivery");
    await lab.settle(first, { to: "failed", meta: "m", reason: "r" });
    await close(lab.t);
    const wanted = counted({ waiting: 1, delayed: 1, reserved: 1, failed: 1 });
    await lab.holds(wanted, "info", QUEUE, await lab.open());
  }, "durable"),
];
