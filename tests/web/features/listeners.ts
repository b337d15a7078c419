/** Several listeners of a job: F119, W70. */
import { expect, it } from "vitest";
import { deadLetter, fixed, retry } from "../../../mod.ts";
import { free, heard, running, thrown } from "../support/kit.ts";
import type { OpenPlace } from "../support/place.ts";

const jobs = { job: free<string>() };
const soon = fixed(100, { jitter: 0 });

export function listeners(open: OpenPlace): void {
  it("W70: with `remember` a retry runs the listeners that have not finished, and without it all again", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay({ a: free<string>(), b: free<string>() });
    const runs: Record<string, number> = {};
    const failing = (name: string, times: number) => () => {
      runs[name] = (runs[name] ?? 0) + 1;
      if (runs[name] <= times) throw new Error(`${name} is away`);
    };
    relay.handle("a", {
      mail: failing("a.mail", 0),
      audit: failing("a.audit", 2),
      last: failing("a.last", 0),
    }, {
      remember: true,
    });
    relay.handle("b", {
      mail: failing("b.mail", 0),
      audit: failing("b.audit", 2),
      last: failing("b.last", 0),
    });
    await relay.dispatch("a", "x");
    await relay.dispatch("b", "x");
    const worker = running(relay, { backoff: soon });
    await runtime.advance(10_000);
    await worker.abort();
    expect(runs).toEqual({ "a.mail": 1, "a.audit": 3, "a.last": 1, "b.mail": 3, "b.audit": 3, "b.last": 1 });
  });

  it("named listeners run in the order in which they are written, and the first failure stops the run", async () => {
    const place = open();
    const relay = place.relay(jobs);
    const order: string[] = [];
    relay.handle("job", {
      zulu: () => void order.push("zulu"),
      alpha: () => {
        order.push("alpha");
        return deadLetter();
      },
      mike: () => void order.push("mike"),
    }, { remember: true });
    await relay.dispatch("job", "x");
    await relay.drain();
    expect(order).toEqual(["zulu", "alpha"]);
  });

  it("what finished is remembered through a retry by outcome, a death and a reload, and forgotten by a reschedule", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const order: string[] = [];
    relay.handle("job", {
      mail: () => void order.push("mail"),
      audit: (_, { attempt }) => {
        order.push(`audit ${attempt}`);
        if (attempt === 1) return retry({ delay: 0 });
        if (attempt < 3) throw new Error("no");
        return undefined;
      },
    }, { remember: true });
    const { id } = await relay.dispatch("job", "x", { maxAttempts: 2 });
    const worker = running(relay, { backoff: soon });
    await runtime.advance(5_000);
    expect((await relay.info()).failed).toBe(1);
    await relay.reload("default", "failed", { ids: [id] });
    await runtime.advance(5_000);
    await worker.abort();
    expect(order).toEqual(["mail", "audit 1", "audit 2", "audit 3"]);
  });

  it("what finished before a worker stopped is not run again by the next, and the stop counts for nothing", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const released = heard(relay.events, "released");
    const order: string[] = [];
    relay.handle("job", {
      mail: () => void order.push("mail"),
      audit: (_, { signal, attempt }) => {
        order.push(`audit ${attempt}`);
        if (order.length > 2) return undefined;
        return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      },
    }, { remember: true });
    await relay.dispatch("job", "x");
    const first = running(relay);
    await runtime.advance(1_000);
    await first.abort();
    expect(released).toMatchObject([{ reason: "stop" }]);
    const second = running(relay);
    await runtime.advance(1_000);
    await second.abort();
    expect(order).toEqual(["mail", "audit 1", "audit 1"]);
    expect(await relay.info()).toMatchObject({ waiting: 0, delayed: 0, reserved: 0, failed: 0 });
  });

  it("a lost lease forgets the listeners that finished in its run", async () => {
    const { runtime, transport, ...place } = open();
    const relay = place.relay(jobs);
    const order: string[] = [];
    relay.handle("job", {
      mail: () => void order.push("mail"),
      audit: (_, { attempt }) => {
        order.push(`audit ${attempt}`);
        if (attempt === 1) throw new Error("no");
      },
    }, { remember: true });
    await relay.dispatch("job", "x");
    // A worker takes the job, lets its mail go and dies: nothing that it did is written anywhere.
    await transport.reserve(["default"], { limit: 1, slots: 1, lease: 1_000, wait: 0, deadline: 1_000 });
    await runtime.advance(2_000);
    const worker = running(relay, { backoff: soon });
    await runtime.advance(10_000);
    await worker.abort();
    expect(order).toEqual(["mail", "audit 1", "audit 2"]);
  });

  it("a stored list of finished listeners that is none remembers nothing", async () => {
    const { transport, ...place } = open();
    const relay = place.relay(jobs);
    const order: string[] = [];
    relay.handle("job", { mail: () => void order.push("mail") }, { remember: true });
    const payload = new TextEncoder().encode(`"x"`);
    const metas = [`{"v":1,"finished":"mail"}`, `{"v":1,"finished":[7,null]}`, `{"v":1,"finished":["mail"]}`];
    for (const [id, meta] of metas.entries()) {
      await transport.push([{ queue: "default", id: `${id}`, name: "job", payload, meta }], {
        deadline: 1_000,
      });
    }
    expect(await relay.drain()).toMatchObject({ completed: 3, failed: 0 });
    expect(order).toEqual(["mail", "mail"]);
  });

  it("names that cannot be remembered are refused", () => {
    const relay = open().relay(jobs);
    const nothing = (): void => undefined;
    const message = (handler: Parameters<typeof relay.handle>[1]): string =>
      thrown(() => relay.handle("job", handler, { remember: true })).message;
    expect(message(nothing)).toContain("with 'remember' as its listeners have no names");
    expect(message([nothing])).toContain("with 'remember' as its listeners have no names");
    expect(message({ mail: nothing, 7: nothing })).toContain("with a listener named '7'");
    expect(message({ ["x".repeat(3_000)]: nothing })).toContain("must be at most 2048 bytes");
    expect(message({ ["x".repeat(1_500)]: nothing, ["y".repeat(1_500)]: nothing })).toContain(
      "must have at most 2048 bytes together",
    );
    expect(message({})).toContain("with 'remember' as its listeners have no names");
    expect(thrown(() => relay.handle("job", {})).message).toContain("a handler must be a function");
  });
}
