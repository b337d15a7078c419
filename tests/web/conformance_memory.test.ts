import { describe, test } from "vitest";
import { systemRuntime } from "../../src/runtime.ts";
import { conformance } from "../../src/testing/mod.ts";
import { memory } from "../../src/transports/memory/mod.ts";
import { casesOf } from "./support/real_clock.ts";
import { MEMORY_FEATURES, memorySubject, TOGETHER } from "./support/subjects.ts";

describe("F072: memory keeps the contract", () => {
  for (const { group, name, run } of conformance(memorySubject())) test(`${group}: ${name}`, run);
});

describe("memory keeps the contract by the real clock", () => {
  const runtime = systemRuntime();
  const create = () => Promise.resolve(memory({ runtime }));
  const cases = casesOf((times) => ({
    name: "memory",
    features: MEMORY_FEATURES,
    topics: true,
    schedules: true,
    diagnose: true,
    create,
    scale: times * TOGETHER,
  }));
  for (const { group, name, run } of cases) {
    if (["lease", "delay", "wake"].includes(group)) test.concurrent(`${group}: ${name}`, run);
  }
});
