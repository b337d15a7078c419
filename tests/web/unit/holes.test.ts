/** Holes in lists: each is refused like an `undefined` in its place, and none is passed over. */
import { expect, test } from "vitest";
import { createRelay, every } from "../../../mod.ts";
import { createFakeRuntime } from "../../../src/testing/mod.ts";
import { free, rejection, thrown } from "../support/kit.ts";

/** A list that lacks its second item. */
function holed<T>(item: T): T[] {
  const list = [item, item, item];
  delete list[1];
  return list;
}

test("a hole in a list of jobs, of schedules, of listeners and of middlewares is refused, and nothing is stored", async () => {
  const runtime = createFakeRuntime();
  const jobs = { job: free<number>() };
  const relay = createRelay({ jobs, runtime });
  for (const atomic of [false, true]) {
    const refused = await rejection(relay.dispatchMany(holed({ name: "job", payload: 1 }), { atomic }));
    expect(refused).toMatchObject({
      code: "BULK_REFUSED",
      stored: 0,
      failures: [{ index: 1, error: { message: expect.stringContaining("must be an object") } }],
    });
  }
  const schedule = { name: "job", payload: 1, when: every(1_000) } as const;
  expect((await rejection(relay.schedules.sync(holed(schedule), { owner: "test" }))).message).toContain(
    "each of them must be an object",
  );
  expect(thrown(() => relay.handle("job", holed(() => undefined))).message).toContain(
    "current value is undefined",
  );
  expect(thrown(() => createRelay({ jobs, runtime, use: holed({ run: (next) => () => next() }) })).message)
    .toContain("'use[1]' must be a middleware");
  expect(await relay.info()).toMatchObject({ waiting: 0 });
  expect((await relay.schedules.list()).schedules).toEqual([]);
  await relay.close();
});
