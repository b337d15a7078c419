import * as v from "valibot";
import { expect, test } from "vitest";
import { from } from "../../../../mod.ts";
import { expectUpcasts } from "../../../../src/testing/mod.ts";

const schema = v.object({ first: v.string(), last: v.string() });
const upcast = from(1, (old: { name: string }) => old.name.split(" "))
  .step(([first = "", last = ""]) => ({ first, last }));
const greet = { schema, upcast };

test("samples of every older version that climb pass, those of the newest too, and none is changed", async () => {
  const samples = {
    1: [{ name: "Ada Lovelace" }],
    2: [["Ada", "Lovelace"]],
    3: [{ first: "Ada", last: "L" }],
  };
  const before = structuredClone(samples);
  await expectUpcasts({ greet }, { greet: samples });
  expect(samples).toEqual(before);
});

test("a sample that a step cannot read is named with its job, version, number and cause", async () => {
  const samples = { 1: [{ name: "Ada Lovelace" }, { title: "Countess" }], 2: [["Ada", "Lovelace"]] };
  await expect(expectUpcasts({ greet }, { greet: samples })).rejects.toThrow(
    /^Wanted: each stored sample is read today; found\n {2}greet, version 1, sample 2: step 1 failed: .*split/,
  );
});

test("a sample that climbs to what the schema refuses is named with the issues, all of them in one error", async () => {
  const narrow = {
    schema: v.object({ first: v.pipe(v.string(), v.minLength(4)), last: v.string() }),
    upcast,
  };
  const samples = { 1: [{ name: "Ada Lovelace" }], 2: [["Ada", "Lovelace"]] };
  const error = expectUpcasts({ greet: narrow }, { greet: samples });
  await expect(error).rejects.toThrow(/greet, version 1, sample 1: .*first/);
  await expect(error).rejects.toThrow(/greet, version 2, sample 1: .*first/);
  await expect(error).rejects.toThrow(expect.objectContaining({ name: "ClaimError" }));
});

test("a sample of a version that is read no more, or not yet, is named", async () => {
  const late = { schema, upcast: from(2, ([first = "", last = ""]: string[]) => ({ first, last })) };
  const samples = { 1: [{ name: "Ada Lovelace" }], 2: [["Ada", "Lovelace"]], 9: [{}] };
  const error = expectUpcasts({ greet: late }, { greet: samples });
  await expect(error).rejects.toThrow("greet, version 1, sample 1: versions 2 to 3 are read");
  await expect(error).rejects.toThrow("greet, version 9, sample 1: versions 2 to 3 are read");
});

test("a version between without a sample is named, as its step would go untried", async () => {
  await expect(expectUpcasts({ greet }, { greet: { 1: [{ name: "Ada Lovelace" }] } })).rejects.toThrow(
    "greet, version 2: there is no sample of it",
  );
});

test("a definition without versions has samples of version 1, whose schema is asked, late answers too", async () => {
  const slow = v.pipeAsync(
    v.number(),
    v.checkAsync((value) => Promise.resolve(value > 0), "wanted: above 0"),
  );
  await expectUpcasts({ count: slow }, { count: { 1: [3] } });
  await expect(expectUpcasts({ count: slow }, { count: { 1: [-3] } })).rejects.toThrow("wanted: above 0");
});

test.each([
  [
    undefined,
    "Cannot read samples as 'samples', its second argument, must be an object: current value is undefined",
  ],
  [
    { greet: { 1: { name: "Ada" } } },
    "Cannot read samples of job 'greet' as those of version 1 must be a list of payloads: current value is an object",
  ],
])("samples %j are refused with what was wanted", async (samples, message) => {
  await expect(expectUpcasts({ greet }, samples as never)).rejects.toThrow(message);
});
