/** Fields of the entries of other programs that no date can be. */
import { expect, test } from "vitest";
import { createRelay } from "../../../mod.ts";
import { free } from "../../web/support/kit.ts";
import { scene } from "./model_support.ts";

const { open, send } = scene();

test.each(["8640000000000001", "9007199254740993", "-1", "1e3", "soon"])(
  "a due time of %s counts as none: its job shows dates, and runs again after a failure",
  async (due) => {
    const relay = createRelay({ jobs: { work: free<number>() }, transport: open(), log: false });
    const seen: number[] = [];
    relay.handle("work", (_, { job }) => {
      seen.push(job.due, job.createdAt);
      if (seen.length < 3) throw new Error("once more");
    });
    await send("XADD", "{relevo:default}:waiting", "*", "name", "work", "payload", "1", "due", due);
    const [shown] = (await relay.list("default", "waiting")).jobs;
    for (let run = 0; run < 2; run++) await relay.drain({ backoff: () => 0 });
    for (const time of [shown?.due, shown?.createdAt, shown?.updatedAt, ...seen]) {
      expect(new Date(Number(time)).getUTCFullYear()).toBeGreaterThan(2000);
    }
    expect(seen).toHaveLength(4);
    expect(await relay.info()).toEqual({ waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0 });
    await relay.close();
  },
);
