import { examineTogether } from "../server/support/nats_examined.ts";
import { natsCluster } from "../server/support/nats_subjects.ts";
import { startNatsCluster } from "../server/support/servers/nats_cluster.ts";
import { describeOn, owned } from "../server/support/servers/owned.ts";

// It takes this cluster up to half a minute to be whole after a restart: that is looked at in tests/faults.
describeOn(["nats"], "a cluster of three NATS servers keeps the contract", () => {
  examineTogether(
    "NATS cluster",
    natsCluster(owned(() => startNatsCluster({ server: "nats", brief: true }))),
  );
});
