/** What a job costs that comes alone to a worker of many queues of NATS. */
import { expect, test } from "vitest";
import { createRelay } from "../../../mod.ts";
import { free, running } from "../../web/support/kit.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { counted } from "./counted.ts";

const PATIENCE = 120_000;
const JOBS = 200;

describeOn(["nats"], "Jobs of NATS that come one by one", () => {
  const server = owned(() => startNats());

  /** Messages that each of such jobs takes, with so many queues in one worker. */
  async function messages(count: number): Promise<number> {
    const names = Array.from({ length: count }, (_, n) => `queue-${n}`);
    const jobs = Object.fromEntries(names.map((queue) => [queue, { schema: free<string>(), queue }]));
    await using counts = await counted([(await server()).url], { prefix: `lone${count}` });
    await using relay = createRelay({ jobs, transport: counts.transport });
    let ran = (): void => {};
    for (const name of names) relay.handle(name, () => ran());
    const worker = running(relay);
    const dispatched = async (n: number): Promise<void> => {
      const running = new Promise<void>((resolve) => ran = resolve);
      await relay.dispatch(names[n % count] ?? "", "x");
      await running;
    };
    // By then every queue has had one.
    for (let n = 0; n < count; n++) await dispatched(n);
    const before = counts.traffic.sent;
    for (let n = 0; n < JOBS; n++) await dispatched(n);
    const sent = counts.traffic.sent - before;
    await worker.abort();
    return sent / JOBS;
  }

  test("cost no more messages with forty queues than twice those with one", async () => {
    const [one, forty] = [await messages(1), await messages(40)];
    expect([forty <= 2 * one, one, forty]).toEqual([true, one, forty]);
  }, PATIENCE);
});
