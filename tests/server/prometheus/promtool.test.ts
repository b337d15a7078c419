/** A scrape of a relay that has seen everything, read by the tool of Prometheus itself. */
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { createRelay, deadLetter } from "../../../mod.ts";
import { serverOf } from "../../../scripts/lib/servers.mjs";
import { prometheus } from "../../../src/prometheus/mod.ts";
import { createFakeRuntime } from "../../../src/testing/mod.ts";
import { memory } from "../../../src/transports/memory/mod.ts";
import { free } from "../../web/support/kit.ts";
import { describeOn } from "../support/servers/owned.ts";

describeOn(["promtool"], "promtool", () => {
  test("F188: finds nothing to say of a scrape's syntax, names and units", async () => {
    const runtime = createFakeRuntime();
    const relay = createRelay({
      jobs: { mail: free<boolean>(), 'odd "name\\': { schema: free<boolean>(), queue: "ünusual" } },
      transport: memory({ runtime }),
      runtime,
    });
    using metrics = prometheus(relay, { runtime });
    relay.handle("mail", (well) => well ? undefined : deadLetter({ reason: "refused" }));
    for (const well of [true, false]) await relay.dispatch("mail", well);
    await relay.drain();
    await relay.dispatch('odd "name\\', true);
    await runtime.advance(15_000);
    const { command = "", args = [] } = serverOf("promtool") ?? {};
    const { status, stdout, stderr } = spawnSync(command, [...args, "check", "metrics"], {
      input: metrics.text(),
      encoding: "utf8",
    });
    expect([status, stdout, stderr]).toEqual([0, "", ""]);
    await relay.close();
  });
});
