import { examineNats } from "../server/support/nats_examined.ts";
import { natsCluster } from "../server/support/nats_subjects.ts";
import { startNatsCluster } from "../server/support/servers/nats_cluster.ts";
import { describeOn, owned } from "../server/support/servers/owned.ts";

describeOn(["nats"], "a cluster of three NATS servers keeps the contract", () => {
  examineNats("NATS cluster", natsCluster(owned(() => startNatsCluster({ server: "nats" }))));
});
