/** A store of 100,000 dead jobs, as an operator sees it over HTTP while workers run. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createRelay, type Transport } from "../../../mod.ts";
import { admin } from "../../../src/http/mod.ts";
import { RECORD_VERSION } from "../../../src/jobs/job.ts";
import { writeMeta } from "../../../src/jobs/record.ts";
import { sqlite } from "../../../src/transports/sqlite/mod.ts";
import { free } from "../../web/support/kit.ts";

const COUNT = 100_000;
const BATCH = 10_000;
const call = { deadline: 60_000 };

/** Dead mails: one in four was refused, the others found no server. */
async function bury(transport: Transport): Promise<void> {
  for (let from = 0; from < COUNT; from += BATCH) {
    const payload = new TextEncoder().encode("1");
    const jobs = Array.from({ length: BATCH }, (_, n) => ({
      queue: "mail",
      id: `${from + n}`,
      name: "mail",
      payload,
      meta: "",
    }));
    await transport.push(jobs, call);
    const held = await transport.reserve(["mail"], {
      ...call,
      limit: BATCH,
      slots: BATCH,
      lease: 60_000,
      wait: 0,
    });
    await transport.settle(
      held.map(({ queue, token, id }) => {
        const reason = Number(id) % 4 === 0 ? "refused" : "no server";
        const dead = { channel: "failed", reason, at: Date.now(), lost: 0 } as const;
        return { queue, token, to: "failed", meta: writeMeta({ v: RECORD_VERSION, dead }), reason };
      }),
      call,
    );
  }
}

test("W98: of 100,000 dead jobs all are listed, a quarter is reloaded by its reason and the rest is removed, while workers run", async () => {
  const folder = mkdtempSync(join(tmpdir(), "relevo-dead-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const transport = sqlite({ path: join(folder, "jobs.db"), durability: "normal" });
  await using relay = createRelay({
    jobs: { mail: { schema: free<number>(), queue: "mail" }, bill: free<number>() },
    transport,
    log: false,
  });
  await bury(transport);
  const ran = { mail: 0, bill: 0 };
  for (const name of ["mail", "bill"] as const) relay.handle(name, () => void ran[name]++);
  const end = new AbortController();
  const running = relay.run({ signal: end.signal });
  const handler = admin(relay, { authorize: "none" });
  const ask = async <Body>(path: string, body?: object): Promise<Body> => {
    const headers = { "content-type": "application/json" };
    const init = body === undefined ? {} : { method: "POST", headers, body: JSON.stringify(body) };
    const response = await handler(new Request(`http://localhost${path}`, init));
    expect(response.status).toBe(200);
    return await response.json();
  };

  let listed = 0;
  let bills = 0;
  for (let cursor = ""; cursor !== undefined;) {
    const page = await ask<{ readonly jobs: readonly unknown[]; readonly cursor: string }>(
      `/dead/list?queue=mail&limit=1000${cursor === "" ? "" : `&cursor=${cursor}`}`,
    );
    listed += page.jobs.length;
    cursor = page.cursor;
    if (listed % 20_000 === 0) await relay.dispatch("bill", ++bills);
  }
  expect(listed).toBe(COUNT);

  const quarter = { queue: "mail", reason: "refused" };
  const preview = await ask<{ readonly count: number; readonly atLeast: boolean; readonly token: string }>(
    "/dead/reload/preview",
    quarter,
  );
  expect(preview).toMatchObject({ count: 10_000, atLeast: true });
  expect(await ask("/dead/reload", { ...quarter, token: preview.token })).toEqual({
    reloaded: COUNT / 4,
    taken: 0,
  });
  const all = { queue: "mail" };
  const { token } = await ask<{ readonly token: string }>("/dead/remove/preview", all);
  expect(await ask("/dead/remove", { ...all, token })).toEqual({ removed: COUNT * 3 / 4 });
  await expect.poll(() => ran, { timeout: 60_000 }).toEqual({ mail: COUNT / 4, bill: bills });
  end.abort();
  await running;
  expect(await relay.info("mail")).toMatchObject({ waiting: 0, reserved: 0, failed: 0 });
});
