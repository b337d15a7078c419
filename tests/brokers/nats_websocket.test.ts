import { examineNats } from "../server/support/nats_examined.ts";
import { natsServer } from "../server/support/nats_subjects.ts";
import { startNats } from "../server/support/servers/nats.ts";
import { describeOn, owned } from "../server/support/servers/owned.ts";

describeOn(["nats"], "NATS keeps the contract over WebSocket", () => {
  examineNats("NATS", natsServer(owned(() => startNats()), "ws"));
});
