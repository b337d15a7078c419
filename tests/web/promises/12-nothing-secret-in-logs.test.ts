import { afterEach, beforeEach, expect, vi } from "vitest";
import { connect } from "../../../src/connect.ts";
import { type DispatchOptions, fixed, retry } from "../../../mod.ts";
import { promise } from "../support/promises.ts";
import { EVENTS, listen, number, reasonOf, schema, TASK, textOf } from "../support/stage.ts";

/** Stands in every payload here, and may stand in no error and no event. */
const SECRET = "hunter2-payload";

/** Texts of which no event may hold a piece, as errors of parsers repeat only pieces. */
const PIECES = ["hunter", 'payload"', SECRET];

function expectNoSecret(text: string): void {
  for (const piece of PIECES) expect(text).not.toContain(piece);
}

promise(12, "nothing secret in logs", (claim) => {
  const lines: string[] = [];
  beforeEach(() => {
    for (const method of ["log", "info", "warn", "error", "debug"] as const) {
      vi.spyOn(console, method).mockImplementation((...texts: unknown[]) => void lines.push(textOf(texts)));
    }
  });
  afterEach(() => {
    vi.restoreAllMocks();
    lines.length = 0;
  });

  claim("the core writes nothing to the console, whatever happens to its jobs", async (stage) => {
    const relay = stage.relay(TASK);
    relay.handle("task", () => Promise.reject(new Error("no")));
    await stage.put({ id: "broken", meta: "{", payload: new TextEncoder().encode(SECRET) });
    await relay.dispatch("task", SECRET, { maxAttempts: 2, backoff: fixed(100) });
    const running = stage.run(relay);
    await stage.runtime.advance(1_000);
    stage.line.cut();
    await stage.runtime.advance(1_000);
    running.abort();
    await stage.within(running.done, 60_000);
    expect(lines).toEqual([]);
  });

  claim(
    "no event holds the payload: not of what is done, retried, dead, released, lost or stuck",
    async (stage) => {
      const relay = stage.relay({ task: TASK.task, strict: number });
      const told = listen(relay);
      const barrier = stage.barrier();
      relay.handle("strict", () => undefined);
      relay.handle("task", (payload, { attempt }) => {
        if (String(payload).startsWith("fail")) throw new Error("no");
        if (String(payload).startsWith("retry")) return retry({ delay: 1 });
        if (String(payload).startsWith("stuck") && attempt === 1) return barrier.opened;
        return payload;
      });
      const options: DispatchOptions = { maxAttempts: 2, timeout: 1_000, backoff: fixed(1) };
      for (const kind of ["fine", "fail", "retry", "stuck"]) {
        await relay.dispatch("task", `${kind} ${SECRET}`, options);
      }
      const bytes = (text: string) => new TextEncoder().encode(text);
      await stage.put({ id: "no json", payload: bytes(`${SECRET} {`) });
      await stage.put({ id: "half json", payload: bytes(`{"password":"${SECRET}`) });
      await stage.put({ id: "no record", payload: bytes(`"${SECRET}"`), meta: `${SECRET}` });
      await stage.put({
        id: "half record",
        payload: bytes(`"${SECRET}"`),
        meta: `{"v":1,"headers":"${SECRET}`,
      });
      await stage.put({ id: "wrong", name: "strict", payload: bytes(`"${SECRET}"`) });
      await stage.put({ id: "strange", name: "strange", payload: bytes(`"${SECRET}"`) });
      await stage.put({ id: "lost", payload: bytes(`"${SECRET}"`) });
      const running = stage.run(relay, { abortGrace: 100, unknown: "dead" });
      await stage.runtime.advance(10_000);
      barrier.open();
      running.abort();
      await stage.within(running.done, 60_000);
      expect(
        told.of("failed").map(({ reason }) => reason).sort(),
      ).toEqual([
        "exhausted",
        "exhausted",
        "invalid",
        "undecodable",
        "undecodable",
        "undecodable",
        "undecodable",
        "unknown",
      ]);
      expectNoSecret(told.text());
    },
  );

  claim("no stored error holds the payload", async (stage) => {
    const relay = stage.relay({ task: number });
    relay.handle("task", () => undefined);
    for (
      const [id, text] of [["json", `${SECRET}`], ["late", `[1,"${SECRET}]`], [
        "wrong",
        `"${SECRET}"`,
      ]] as const
    ) {
      await stage.put({ id, payload: new TextEncoder().encode(text) });
    }
    await relay.drain();
    const { jobs } = await relay.list("default", "failed");
    expect(jobs).toHaveLength(3);
    for (const { lastError } of jobs) expectNoSecret(textOf(lastError));
  });

  claim("no error of a dispatch holds the payload, though its schema's issues may", async (stage) => {
    const relay = stage.relay({
      task: schema<{ password: string }>((value) => ({
        issues: [{ message: `Expected a number but received ${JSON.stringify(value)}`, path: ["password"] }],
      })),
      loose: TASK.task,
    });
    const circle: { password: string; self?: unknown } = { password: SECRET };
    circle.self = circle;
    const refused = [
      relay.dispatch("task", { password: SECRET }),
      relay.dispatchMany([{ name: "task", payload: { password: SECRET } }]),
      relay.dispatch("loose", circle),
      relay.dispatch("loose", { password: SECRET, n: 1n }),
      relay.dispatch("loose", SECRET.repeat(100_000)),
      relay.dispatch("loose", SECRET, { queue: "nowhere" }),
      relay.dispatch("loose", SECRET, { delay: -Infinity, at: 5 }),
      relay.dispatch("loose", null, {
        headers: { authorization: [SECRET] } as unknown as Record<string, string>,
      }),
    ];
    for (const error of await Promise.all(refused.map(reasonOf))) {
      expect(error).toBeInstanceOf(Error);
      expectNoSecret((error as Error).message);
      expectNoSecret((error as Error).stack ?? "");
    }
    stage.line.cut(() => new Error("reset"));
    expectNoSecret(
      textOf(await reasonOf(relay.dispatch("loose", SECRET, { headers: { authorization: SECRET } }))),
    );
  });

  claim("no error of connect repeats the credentials of its URL", async () => {
    const urls = [
      "redsi://user:hunter2-payload@host:6379/0",
      "hunter2-payload",
      "//user:hunter2-payload@host",
      "memory:hunter2-payload",
      "memory:?token=hunter2-payload",
      "sqlite://user:hunter2-payload@host/jobs.db",
    ];
    for (const url of urls) {
      const error = await reasonOf(connect(url));
      expect(error).toBeInstanceOf(TypeError);
      expectNoSecret(textOf(error));
    }
  });

  claim("every event's type was looked at here or has no room for a payload", async (stage) => {
    const relay = stage.relay(TASK);
    const details: object[] = [];
    for (const name of EVENTS) relay.events.addEventListener(name, ({ detail }) => void details.push(detail));
    relay.handle("task", () => undefined);
    await relay.dispatch("task", SECRET);
    await relay.drain();
    expect(details.length).toBeGreaterThan(2);
    for (const detail of details) {
      expect(detail).not.toHaveProperty("payload");
      expect(detail).not.toHaveProperty("job.payload");
    }
  });
});
