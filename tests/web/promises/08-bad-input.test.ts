import { expect } from "vitest";
import {
  BulkRefusedError,
  type DispatchOptions,
  InvalidPayloadError,
  raw,
  type SchemaIssue,
  TooLargeError,
  UnencodableError,
  UnknownJobError,
  UnknownQueueError,
} from "../../../mod.ts";
import { promise } from "../support/promises.ts";
import { any, encode, listen, number, reasonOf, schema, type Stage, TASK } from "../support/stage.ts";

/** Wants `{ a: number, b: { c: number } }` and lists whatever is not so. */
const nested = schema<{ a: number; b: { c: number } }>((value) => {
  const { a, b } = value as { a: unknown; b: { c: unknown } };
  const issues: SchemaIssue[] = [];
  if (typeof a !== "number") issues.push({ message: "must be a number", path: ["a"] });
  if (typeof b.c !== "number") issues.push({ message: "must be a number", path: [{ key: "b" }, "c"] });
  return issues.length > 0 ? { issues } : { value: value as { a: number; b: { c: number } } };
});

const wrong = { a: "x", b: { c: null } } as unknown as { a: number; b: { c: number } };

async function nothingStored({ line }: Stage): Promise<void> {
  expect(line.count("push")).toBe(0);
  expect(await line.info("default", { deadline: 1_000 })).toMatchObject({ waiting: 0, delayed: 0 });
}

promise(8, "bad input is refused early", (claim) => {
  for (const [what, late] of [["at once", false], ["with a schema that waits", true]] as const) {
    claim(`dispatch rejects with every issue, ${what}, and nothing is stored`, async (stage) => {
      const { validate } = nested["~standard"];
      const relay = stage.relay({
        task: late ? schema<{ a: number; b: { c: number } }>(async (value) => await validate(value)) : nested,
      });
      const error = await reasonOf(relay.dispatch("task", wrong));
      expect(error).toBeInstanceOf(InvalidPayloadError);
      expect(error).toMatchObject({
        code: "INVALID_PAYLOAD",
        issues: [{ message: "must be a number", path: ["a"] }, {
          message: "must be a number",
          path: ["b", "c"],
        }],
      });
      await nothingStored(stage);
    });
  }

  claim("a bulk dispatch names each refused job by its index, and stores none", async (stage) => {
    const relay = stage.relay({ task: number });
    const jobs = [1, "two", 3, null].map((payload) => ({
      name: "task" as const,
      payload: payload as number,
    }));
    const error = await reasonOf(relay.dispatchMany(jobs));
    expect(error).toBeInstanceOf(BulkRefusedError);
    expect((error as BulkRefusedError).failures.map(({ index }) => index)).toEqual([1, 3]);
    expect(error).toMatchObject({ stored: 0, failures: [{ error: { code: "INVALID_PAYLOAD" } }, {}] });
    await nothingStored(stage);
  });

  const self: { self?: unknown } = {};
  self.self = self;
  for (
    const [what, payload] of [
      ["a circle", self],
      ["a BigInt", { n: 1n }],
      ["a function", () => 1],
      ["bytes", new Uint8Array(3)],
    ] as const
  ) {
    claim(`${what}, which the codec cannot write, is refused`, async (stage) => {
      const relay = stage.relay(TASK);
      expect(await reasonOf(relay.dispatch("task", payload))).toBeInstanceOf(UnencodableError);
      await nothingStored(stage);
    });
  }

  claim("a payload of 512 KiB is stored, one byte more is refused with both sizes", async (stage) => {
    const relay = stage.relay({ task: { schema: any<Uint8Array>(), codec: raw } });
    await relay.dispatch("task", new Uint8Array(512 * 1024));
    const error = await reasonOf(relay.dispatch("task", new Uint8Array(512 * 1024 + 1)));
    expect(error).toBeInstanceOf(TooLargeError);
    expect(error).toMatchObject({ size: 512 * 1024 + 1, limit: 512 * 1024 });
    expect(stage.line.count("push")).toBe(1);
  });

  claim("a transport of less room leaves 32 KiB of it to the metadata", async (stage) => {
    const transport = { ...stage.line, limits: { ...stage.line.limits, payload: 100 * 1024 } };
    const relay = stage.relay({ task: { schema: any<Uint8Array>(), codec: raw } }, { transport });
    await relay.dispatch("task", new Uint8Array(68 * 1024));
    const error = await reasonOf(relay.dispatch("task", new Uint8Array(68 * 1024 + 1)));
    expect(error).toMatchObject({ code: "TOO_LARGE", limit: 68 * 1024 });
  });

  for (const late of [false, true]) {
    claim(
      `payload and options are taken before the first await${late ? ", even of a schema that waits" : ""}`,
      async (stage) => {
        const relay = stage.relay({
          task: schema<{ list: number[] }>((value) => {
            const result = { value: value as { list: number[] } };
            return late ? Promise.resolve(result) : result;
          }),
        });
        const payload = { list: [1] };
        const headers = { a: "1" };
        const options = { id: "mine", headers, delay: 5 };
        const at = new Date(stage.runtime.now() + 60_000);
        const one = relay.dispatch("task", payload, options);
        const bulk = [{ name: "task" as const, payload, id: "bulk", at, onDuplicate: "throw" as const }];
        const many = relay.dispatchMany(bulk);
        payload.list.push(2);
        headers.a = "2";
        options.id = "another";
        at.setTime(0);
        bulk.length = 0;
        expect(await one).toEqual({ id: "mine", status: "stored" });
        expect(await many).toEqual([{ id: "bulk", status: "stored" }]);
        const stored = await relay.get("default", "mine");
        expect(stored).toMatchObject({ headers: { a: "1" }, channel: "delayed" });
        expect(stored?.payload).toEqual(encode({ list: [1] }));
        const other = await relay.get("default", "bulk");
        expect(other?.due).toBe(stage.runtime.now() + 60_000);
        expect(other?.payload).toEqual(encode({ list: [1] }));
      },
    );
  }

  claim("what a bulk dispatch says of duplicates is taken before the first await", async (stage) => {
    const relay = stage.relay(TASK);
    await relay.dispatch("task", null, { id: "taken" });
    const jobs = [{ name: "task" as const, id: "taken", onDuplicate: "throw" as const }];
    const refused = reasonOf(relay.dispatchMany(jobs));
    jobs.length = 0;
    expect(await refused).toMatchObject({ failures: [{ index: 0, error: { code: "DUPLICATE_JOB" } }] });
  });

  claim("bytes are copied before the first await", async (stage) => {
    const relay = stage.relay({ task: { schema: any<Uint8Array>(), codec: raw } });
    const payload = new Uint8Array([1, 2, 3]);
    const dispatched = relay.dispatch("task", payload);
    payload.fill(9);
    expect((await relay.get("default", (await dispatched).id))?.payload).toEqual(new Uint8Array([1, 2, 3]));
  });

  claim("the input is stored and the handler gets the output of a second validation", async (stage) => {
    const jobs = {
      task: schema<string, number>((value) =>
        typeof value === "string" ? { value: Number(value) } : { issues: [{ message: "must be a string" }] }
      ),
    };
    const relay = stage.relay(jobs);
    const handled: unknown[] = [];
    relay.handle("task", (payload) => void handled.push(payload));
    const { id } = await relay.dispatch("task", "42");
    expect((await relay.get("default", id))?.payload).toEqual(encode("42"));
    await relay.drain();
    expect(handled).toEqual([42]);
  });

  claim("a name that no definition has is refused by dispatch, dispatchMany and handle", async (stage) => {
    const relay = stage.relay(TASK);
    const name = "toString" as "task";
    expect(await reasonOf(relay.dispatch(name))).toBeInstanceOf(UnknownJobError);
    expect(await reasonOf(relay.dispatchMany([{ name }]))).toMatchObject({
      failures: [{ error: { job: name } }],
    });
    expect(() => relay.handle(name, () => undefined)).toThrow(UnknownJobError);
    await nothingStored(stage);
  });

  claim(
    "a queue that no definition names is refused, one that another definition names is not",
    async (stage) => {
      const relay = stage.relay({ ...TASK, paid: { schema: any<unknown>(), queue: "billing" } });
      const error = await reasonOf(relay.dispatch("task", null, { queue: "biling" }));
      expect(error).toBeInstanceOf(UnknownQueueError);
      expect(error).toMatchObject({ code: "UNKNOWN_QUEUE", queue: "biling" });
      await nothingStored(stage);
      await relay.dispatch("task", null, { queue: "billing" });
      await relay.dispatch("paid", null, { queue: "default" });
      expect(await relay.info("billing")).toMatchObject({ waiting: 1 });
      expect(await relay.info("default")).toMatchObject({ waiting: 1 });
    },
  );

  const refused: readonly [string, unknown][] = [
    ["maxAttempts", 0],
    ["maxAttempts", 1.5],
    ["maxAttempts", Number.NaN],
    ["timeout", 0],
    ["timeout", Infinity],
    ["delay", Number.NaN],
    ["delay", Infinity],
    ["delay", "5"],
    ["at", new Date(Number.NaN)],
    ["at", "2026-01-01"],
    ["backoff", { type: "fixed", base: -1, max: 1, jitter: 0 }],
    ["backoff", { type: "fixed", base: 1, max: 1, jitter: 2 }],
    ["id", ""],
    ["id", "a\0b"],
    ["id", "x".repeat(1_025)],
    ["idWindow", 5],
    ["onDuplicate", "maybe"],
    ["headers", { a: 1 }],
    ["headers", { a: "x".repeat(8 * 1024) }],
    ["requestId", ""],
    ["dealy", 5],
  ];
  for (const [option, value] of refused) {
    const shown = typeof value === "string"
      ? JSON.stringify(value.slice(0, 12))
      : String(JSON.stringify(value));
    claim(
      `W67: the option ${option}: ${shown.slice(0, 40)} (${typeof value}) is refused, never repaired`,
      async (stage) => {
        const relay = stage.relay(TASK);
        const error = await reasonOf(relay.dispatch("task", null, { [option]: value } as DispatchOptions));
        expect(error instanceof TypeError || error instanceof RangeError).toBe(true);
        expect(String(error)).toMatch(/^(TypeError|RangeError): Cannot \w+/);
        await nothingStored(stage);
      },
    );
  }

  claim("'delay' and 'at' together are refused", async (stage) => {
    const relay = stage.relay(TASK);
    await expect(relay.dispatch("task", null, { delay: 1, at: 1 })).rejects.toThrow("both 'delay' and 'at'");
    await nothingStored(stage);
  });

  claim("a refused dispatch tells no 'dispatched'", async (stage) => {
    const relay = stage.relay({ task: number });
    const told = listen(relay);
    await reasonOf(relay.dispatch("task", "x" as unknown as number));
    expect(told.names).toEqual([]);
  });
});
