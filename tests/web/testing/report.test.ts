import { expect, test } from "vitest";
import { conformance, examine, featureTable } from "../../../src/testing/mod.ts";
import { MEMORY_FEATURES, memorySubject } from "../support/subjects.ts";

test("memory declares the features of the design's table", async () => {
  const subject = memorySubject();
  await using transport = await subject.create("features");
  expect(transport.features).toEqual(MEMORY_FEATURES);
});

test("no two cases have the same name", () => {
  const names = conformance(memorySubject()).map(({ name }) => name);
  expect(names.length).toBeGreaterThan(150);
  expect(new Set(names).size).toBe(names.length);
});

test("a case whose need the subject does not have is not among its cases", () => {
  const subject = memorySubject();
  const all = conformance({
    ...subject,
    features: { ...subject.features, idLive: false, atomicPush: false },
  });
  expect(all.some(({ needs }) => needs.includes("idLive") || needs.includes("atomicPush"))).toBe(false);
  expect(all.some(({ needs }) => needs.includes("restart") || needs.includes("raw"))).toBe(false);
});

test("a subject without features, or that makes no transport, is refused by its name", () => {
  for (
    const [subject, name] of [[undefined, "undefined"], [
      { ...memorySubject(), create: 1 },
      "memory",
    ]] as const
  ) {
    expect(() => conformance(subject as never)).toThrow(
      `Cannot examine '${name}' as a subject must have 'features', those of its transport, and a function 'create'`,
    );
  }
});

test("a durable subject must be able to restart", () => {
  const subject = memorySubject();
  const durable = { ...subject, features: { ...subject.features, durable: true } };
  expect(() => conformance(durable)).toThrow("a durable subject must have 'restart'");
});

test("the table of transports says what the suite showed", async () => {
  const table = featureTable([await examine(memorySubject())]).split("\n");
  expect(table).toContain("| keeps the contract | yes |");
  expect(table).toContain("| jobs outlive the process | no: jobs are in the memory of this process |");
  expect(table).toContain("| an id is refused while its job is live | yes |");
  expect(table).toContain("| whose clock judges due times and leases | the process |");
});

test("a table of features wants a list", () => {
  expect(() => Reflect.apply(featureTable, undefined, [])).toThrow(
    "Cannot write a table of features as 'examinations' must be a list of answers of examine: current value is undefined",
  );
});
