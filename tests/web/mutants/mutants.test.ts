import { describe, expect, test } from "vitest";
import { conformance } from "../../../src/testing/mod.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { memorySubject } from "../support/subjects.ts";
import { CALL_MUTANTS } from "./calls.ts";
import { DEAD_LINK_MUTANTS, pause } from "./dead_link.ts";
import { DIAGNOSE_MUTANTS } from "./diagnose.ts";
import { FENCE_MUTANTS } from "./fence.ts";
import { around } from "./mutants.ts";
import { SCHEDULE_MUTANTS } from "./schedules.ts";
import { STORAGE_MUTANTS } from "./storage.ts";
import { refusing, TROUBLE_MUTANTS } from "./trouble.ts";
import { TOPIC_MUTANTS } from "./topics.ts";

async function run(name: string, wrap: (inner: Transport) => Transport): Promise<unknown> {
  const { spoil, lose, refuse } = refusing();
  const subject = memorySubject((inner) => wrap(refuse(inner)));
  const found = conformance({ ...subject, pause, spoil, lose }).find((one) => one.name === name);
  if (found === undefined) throw new Error(`No case is called '${name}'`);
  return await found.run().then(() => "passed", (reason: unknown) => reason);
}

describe("the suite finds each fault by the case that names it", () => {
  const mutants = [
    ...FENCE_MUTANTS,
    ...STORAGE_MUTANTS,
    ...CALL_MUTANTS,
    ...TOPIC_MUTANTS,
    ...SCHEDULE_MUTANTS,
    ...DEAD_LINK_MUTANTS,
    ...TROUBLE_MUTANTS,
    ...DIAGNOSE_MUTANTS,
  ];
  for (const { fault, found, wrap } of mutants) {
    test(fault, async () => {
      expect(await run(found, (inner) => around(inner, {}))).toBe("passed");
      expect(await run(found, wrap)).toMatchObject({ name: "ClaimError" });
    });
  }
});
