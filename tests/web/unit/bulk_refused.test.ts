/** What the error of a bulk says of jobs that were refused, stored, or perhaps stored. */
import { expect, test } from "vitest";
import { BulkRefusedError, DuplicateJobError, OutcomeUnknown } from "../../../mod.ts";

test("The error of a bulk calls no job refused of which it is unknown whether it was stored", () => {
  const failures = [
    { index: 1, error: new OutcomeUnknown("b", new Error("the link broke")) },
    { index: 2, error: new DuplicateJobError("c", "mail") },
    { index: 3, error: new OutcomeUnknown("d", new Error("the link broke")) },
  ];
  expect(new BulkRefusedError(failures, 4, 1).message).toBe(
    "Refused 1 of 4 jobs, stored 1, unknown whether stored: 2; at index 1: " +
      "Whether job 'b' was stored is unknown: the link broke",
  );
});

test("The error of a bulk leaves out what is unknown where everything is known", () => {
  const failures = [{ index: 0, error: new DuplicateJobError("a", "mail") }];
  expect(new BulkRefusedError(failures, 3, 2).message).toBe(
    "Refused 1 of 3 jobs, stored 2; at index 0: Cannot dispatch job 'a' to queue 'mail' as its id is taken",
  );
});
