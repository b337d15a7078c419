import { nats } from "../../src/transports/nats/mod.ts";
import { blocked } from "./support/blocked.ts";
import { startNats } from "./support/servers/nats.ts";
import { describeOn, owned } from "./support/servers/owned.ts";

describeOn(["nats"], "a blocked thread, on NATS", () => {
  const server = owned(() => startNats());
  blocked(async () =>
    nats({ servers: (await server()).url, ackWait: 200, prefix: `blocked-${crypto.randomUUID()}` })
  );
});
