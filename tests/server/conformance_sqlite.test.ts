import { describe, expect, test } from "vitest";
import { casesOf } from "../web/support/real_clock.ts";
import { TOGETHER } from "../web/support/subjects.ts";
import { SQLITE_FEATURES, sqliteSubject } from "./support/subjects.ts";

test("SQLite declares the features of the design's table", async () => {
  const subject = sqliteSubject();
  const transport = await subject.create("relevo-features");
  expect(transport.features).toEqual(SQLITE_FEATURES);
  await transport[Symbol.asyncDispose]();
  await subject.destroy?.("relevo-features");
});

describe("SQLite keeps the contract by the real clock", () => {
  for (const { group, name, run } of casesOf((times) => ({ ...sqliteSubject(), scale: times * TOGETHER }))) {
    if (["lease", "delay", "wake"].includes(group)) test.concurrent(`${group}: ${name}`, run);
  }
});
