import { expect, onTestFinished, test } from "vitest";
import { nats } from "../../src/transports/nats/mod.ts";
import type { QueueInfo } from "../../src/jobs/job.ts";
import { startNats } from "../server/support/servers/nats.ts";
import { describeOn, owned } from "../server/support/servers/owned.ts";
import { bundle, without } from "./support/bundle.ts";
import { FLAGS } from "./support/flags.ts";
import { startWorker } from "./support/serve.ts";

const PATIENCE = 60_000;

describeOn(["nats"], "the example 06-edge in bare workerd without flags", () => {
  const started = owned(() => startNats());

  test("dispatches on a request, and handles on a scheduled event", async () => {
    const server = await started();
    const modules = without(await bundle("examples/06-edge.ts"), /node_modules\/@nats-io\/transport-node\//);
    const texts = { NATS_URL: server.ws };
    const worker = await startWorker({ modules, flags: FLAGS.webSocket, texts, schedule: true });
    onTestFinished(() => worker[Symbol.asyncDispose]());

    async function info(): Promise<QueueInfo> {
      await using transport = nats({ servers: server.url });
      return await transport.info("default", { deadline: PATIENCE });
    }

    expect(await worker.get("/?userId=42")).toMatchObject({
      status: 202,
      text: expect.stringContaining(`"status":"stored"`),
    });
    expect(await worker.get("/?userId=nobody")).toMatchObject({ status: 400 });
    expect(await info()).toMatchObject({ waiting: 1 });
    expect(await worker.scheduled()).toMatchObject({ status: 200, text: "ok" });
    expect(await info()).toMatchObject({ waiting: 0, reserved: 0, failed: 0, delayed: 0 });
    // A server hears of the end of a connection a moment later.
    await expect.poll(() => server.monitor("/connz")).toMatchObject({ num_connections: 0 });
    expect(await worker.stop()).toBe("");
  }, PATIENCE);
});
