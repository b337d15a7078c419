import { test } from "vitest";
import { conformance, type Subject } from "../../src/testing/mod.ts";
import { declares } from "./support/examined.ts";
import { NATS_FEATURES, natsSubject } from "./support/nats_subjects.ts";
import { startNats } from "./support/servers/nats.ts";
import { describeOn, owned } from "./support/servers/owned.ts";

/** Milliseconds that a case may take while others run beside it. */
const PATIENCE = 90_000;
/** Milliseconds of a lease that outlasts a restart of the server. */
const OUTLASTING = 5_000;

/** The cases of some groups, several at a time, but for those that restart the server or keep the machine busy. */
function examine(subject: Subject, wanted: (group: string) => boolean): void {
  for (const { group, name, needs, run } of conformance(subject)) {
    if (!wanted(group)) continue;
    const alone = needs.includes("restart") || ["stress", "lease"].includes(group);
    (alone ? test : test.concurrent)(`${group}: ${name}`, run, PATIENCE);
  }
}

for (const [server, title] of [["nats29", "NATS 2.9"], ["nats", "the newest NATS"]] as const) {
  describeOn([server], `${title} keeps the contract`, () => {
    const started = owned(() => startNats({ server }));
    const subject = natsSubject(title, started);
    declares(subject, NATS_FEATURES);
    examine(subject, (group) => group !== "connection");
    examine(natsSubject(title, started, OUTLASTING), (group) => group === "connection");
  });
}
