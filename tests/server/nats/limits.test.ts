/** Jobs as large as a message may be: what is written about them later must find room, too. */
import { expect, test } from "vitest";
import { fixed, type Relay } from "../../../mod.ts";
import { free, heard } from "../../web/support/kit.ts";
import { testByClock } from "../../web/support/real_clock.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { type Ground, groundOn, worksUntil } from "./ground.ts";

const jobs = { work: { schema: free<string>(), queue: "work" } };
const MAX_PAYLOAD = 64 * 1024;
const SMALL = 16 * 1024;
const ACK_WAIT = 400;
/** What stands in the way of leases as short as these is no fault of the transport. */
const patient = testByClock(ACK_WAIT / 4).concurrent;
/** What JSON in JSON makes four times as long, in a message and its stack. */
const SPOKEN = `"\\`.repeat(4 * 1024);

/** Dispatches the longest text that is taken. */
async function dispatchLongest(relay: Relay<typeof jobs>, most: number, headers = {}): Promise<number> {
  let [taken, refused] = [0, most];
  while (refused - taken > 1) {
    const middle = Math.floor((taken + refused) / 2);
    const put = relay.dispatch("work", "x".repeat(middle), { headers, id: `${middle}` });
    if (await put.then(() => true, () => false)) {
      if (taken > 0) expect(await relay.remove("work", "waiting", { ids: [`${taken}`] })).toBe(1);
      taken = middle;
    } else refused = middle;
  }
  return taken;
}

/** Lets a job fail as often as it may, with more than there is room for. */
async function dies(ground: Ground, most: number, headers = {}): Promise<void> {
  const relay = ground.relay(jobs);
  const length = await dispatchLongest(relay, most, headers);
  const attempts: number[] = [];
  relay.handle("work", (_, { attempt }) => {
    attempts.push(attempt);
    throw new TypeError(SPOKEN);
  });
  const buried = async (): Promise<boolean> => (await relay.info("work")).failed === 1;
  await worksUntil(relay, "it is dead", buried, { maxRetry: 2, backoff: fixed(10) });
  expect(attempts).toEqual([1, 2]);
  const { jobs: [dead] } = await relay.list("work", "failed");
  expect(dead).toMatchObject({ attempts: 2, headers, dead: { reason: "exhausted" } });
  expect(dead?.size).toBe(length + 2);
  expect(await relay.info("work")).toMatchObject({ waiting: 0, delayed: 0, reserved: 0 });
  expect(await relay.reload("work", "failed", "all")).toEqual({ reloaded: 1, taken: 0 });
}

describeOn(["nats"], `The largest job on NATS`, () => {
  const start = owned(() => startNats({ config: `max_payload: ${MAX_PAYLOAD}` }));

  test.concurrent("that the server takes fails as others do", async () => {
    await using ground = groundOn(await start());
    await dies(ground, MAX_PAYLOAD);
  });

  test.concurrent("that its stream takes fails as others do", async () => {
    await using ground = groundOn(await start());
    await ground.relay(jobs).dispatch("work", "x", { id: "first" });
    const stream = `${ground.prefix}_work`;
    const { config } = await ground.api(`STREAM.INFO.${stream}`);
    await ground.api(`STREAM.UPDATE.${stream}`, { ...config as object, max_msg_size: SMALL });
    await ground.api(`STREAM.PURGE.${stream}`);
    await dies(ground, SMALL);
  });
});

describeOn(["nats"], `A message that fills all that NATS takes`, () => {
  const start = owned(() => startNats({ config: `max_payload: ${MAX_PAYLOAD}` }));
  const full = JSON.stringify("x".repeat(MAX_PAYLOAD - 2));

  async function put(ground: Ground): Promise<void> {
    await using raw = await ground.server.raw();
    await raw.request(`${ground.prefix}.work.in.x`, full);
  }

  test.concurrent("is done as others are", async () => {
    await using ground = groundOn(await start());
    const relay = ground.relay(jobs);
    await relay.dispatch("work", "first");
    await put(ground);
    const lengths: number[] = [];
    relay.handle("work", (text) => void lengths.push(text.length));
    await relay.drain();
    expect(lengths).toEqual([5, MAX_PAYLOAD - 2]);
  });

  patient("is told and stays, where it should run again, until it is removed", async () => {
    await using ground = groundOn(await start());
    const told: string[] = [];
    const warn = (message: string): void => void told.push(message);
    const relay = ground.relay(jobs, { ackWait: ACK_WAIT, warn });
    const errors = heard(relay.events, "error");
    relay.handle("work", () => {
      throw new Error("no");
    });
    await relay.dispatch("work", "later", { delay: 60_000 });
    await put(ground);
    await worksUntil(relay, "it is told", () => told.length > 1, { lease: ACK_WAIT });
    expect(errors).toMatchObject([{ error: { code: "TOO_LARGE" } }]);
    expect(told[0]).toMatch(/^Message \d+ of stream '.*' stays reserved until it is removed/);
    expect(await relay.info("work")).toMatchObject({ waiting: 0, delayed: 1, reserved: 1, failed: 0 });
    expect(await relay.remove("work", "reserved", "all")).toBe(1);
    expect(await relay.info("work")).toMatchObject({ waiting: 0, delayed: 1, reserved: 0 });
  });
});

describeOn(["nats"], `The longest metadata on NATS`, () => {
  const start = owned(() => startNats());

  test("that a header takes leave room for what fails", async () => {
    await using ground = groundOn(await start());
    const relay = ground.relay(jobs);
    let length = 64 * 1024;
    const headersOf = (): Record<string, string> => ({ long: "x".repeat(length) });
    while (!await relay.dispatch("work", "", { headers: headersOf() }).then(() => true, () => false)) {
      length -= 16;
    }
    await ground.api(`STREAM.PURGE.${ground.prefix}_work`);
    await dies(ground, 1_000, headersOf());
  });
});
