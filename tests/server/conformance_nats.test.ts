import { declares, examineTogether } from "./support/examined.ts";
import { NATS_FEATURES, natsSubject } from "./support/nats_subjects.ts";
import { startNats } from "./support/servers/nats.ts";
import { describeOn, owned } from "./support/servers/owned.ts";

describeOn(["nats29"], "NATS 2.9 keeps the contract", () => {
  const subject = natsSubject("NATS", owned(() => startNats()));
  declares(subject, NATS_FEATURES);
  examineTogether(subject);
});
