/** Ports on which something else than NATS listens. */
import { createServer } from "node:http";
import { expect, test } from "vitest";
import { connect } from "../../../src/connect.ts";
import { startRedis } from "../support/servers/redis.ts";
import { describeOn } from "../support/servers/owned.ts";

const PATIENCE = 120_000;

describeOn(["nats", "redis7"], "A port that does not speak NATS", () => {
  test.concurrent("but Redis is told as such, with and without a password", async () => {
    await Promise.all([{}, { config: { requirepass: "s3cret" } }].map(async (options) => {
      await using server = await startRedis(options);
      await expect(connect(server.url.replace(/^redis:/, "nats:"))).rejects.toMatchObject({
        code: "TRANSPORT_INCOMPATIBLE",
        message: "Cannot use NATS as this port speaks Redis, not NATS",
      });
    }));
  }, PATIENCE);

  test.concurrent("but HTTP is told as such", async () => {
    const server = createServer((_, response) => void response.end());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("The server has no port");
    await expect(connect(`nats://127.0.0.1:${address.port}`)).rejects.toMatchObject({
      code: "TRANSPORT_INCOMPATIBLE",
      message: "Cannot use NATS as this port speaks HTTP, not NATS",
    });
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }, PATIENCE);
});
