/** Accidents with ids, sizes, clocks, codecs and answers that never came. */
import { expect, it } from "vitest";
import { type Codec, createRelay, json, OutcomeUnknown, RelayClosed, type Transport } from "../../../mod.ts";
import { bytes, checked, free, heard, rejection, running, textOf, wrapped } from "../support/kit.ts";
import type { OpenPlace } from "../support/place.ts";

const call = { deadline: 10_000 };
const HOUR = 3_600_000;
const jobs = { job: free<string>() };

/** JSON written backwards, under an id of its own. */
const backwards: Codec = {
  id: "backwards",
  encode: (value) => json.encode(value).toReversed(),
  decode: (stored) => json.decode(stored.toReversed()),
};

type Verb = "push" | "reserve" | "settle" | "extend";

/** A transport whose calls of one kind fail, now and then, before or after they took effect. */
function leaky(inner: Transport, verb: Verb, when: "before" | "after"): Transport {
  let calls = 0;
  const shaky = async <T>(call: () => Promise<T>): Promise<T> => {
    const fails = ++calls % 3 === 1;
    if (fails && when === "before") throw new Error("cut off before");
    const answer = await call();
    if (fails) throw new Error("cut off after");
    return answer;
  };
  return wrapped(inner, () => ({
    push: (...rest) => verb === "push" ? shaky(() => inner.push(...rest)) : inner.push(...rest),
    reserve: (...rest) => verb === "reserve" ? shaky(() => inner.reserve(...rest)) : inner.reserve(...rest),
    settle: (...rest) => verb === "settle" ? shaky(() => inner.settle(...rest)) : inner.settle(...rest),
    extend: (...rest) => verb === "extend" ? shaky(() => inner.extend(...rest)) : inner.extend(...rest),
  }));
}

export function limits(open: OpenPlace): void {
  it("a refused dispatch leaks no lock on its id", async () => {
    const schema = checked<string>((value) => value === "wrong" ? [{ message: "wrong", path: [] }] : []);
    const relay = open().relay({ job: schema }, { maxPayload: 100 });
    const id = "mine";
    await rejection(relay.dispatch("job", "wrong", { id }));
    await rejection(relay.dispatch("job", "x".repeat(200), { id }));
    await rejection(relay.dispatch("job", "x", { id, signal: AbortSignal.abort() }));
    const controller = new AbortController();
    const aborted = rejection(relay.dispatch("job", "x", { id, signal: controller.signal }));
    controller.abort();
    await aborted;
    await relay.dispatch("job", "x", { id: "other" });
    const bulk = [{ name: "job", payload: "x", id }, { name: "job", payload: "x", id: "other" }] as const;
    await rejection(relay.dispatchMany(bulk, { atomic: true }));
    expect(await relay.info()).toMatchObject({ waiting: 1 });
    expect(await relay.dispatch("job", "x", { id })).toEqual({ id, status: "stored" });
  });

  const cuts = (["push", "reserve", "settle", "extend"] as const).flatMap((verb) =>
    (["before", "after"] as const).map((when) => [verb, when] as const)
  );
  it.each(cuts)(
    "W50: no job is lost when every third %s is cut off %s it took effect",
    async (verb, when) => {
      const { runtime, transport, ...place } = open();
      const relay = place.relay(jobs, { transport: leaky(transport, verb, when) });
      const seen = new Set<string>();
      relay.handle("job", async (payload, { attempt }) => {
        await runtime.sleep(500);
        seen.add(payload);
        if (attempt === 1 && payload.endsWith("5")) throw new Error("once");
      });
      const worker = running(relay, { lease: 1_000, maxLost: 100, maxRetry: 5, poll: 100 });
      const wanted = Array.from({ length: 50 }, (_, i) => `${i}`);
      const stored: Promise<void>[] = wanted.map(async (payload) => {
        const options = { id: payload };
        for (;;) {
          try {
            return void await relay.dispatch("job", payload, options);
          } catch (error) {
            expect(error).toBeInstanceOf(OutcomeUnknown);
          }
        }
      });
      const left = async (): Promise<number> => {
        const { waiting, delayed, reserved } = await relay.info();
        return waiting + delayed + reserved;
      };
      for (let i = 0; i < 120 && (seen.size < wanted.length || await left() > 0); i++) {
        await runtime.advance(
          1_000,
        );
      }
      await Promise.all(stored);
      await worker.abort();
      expect([...seen].toSorted()).toEqual(wanted.toSorted());
      expect(await relay.info()).toEqual({ waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0 });
    },
  );

  it("a key '__proto__' in a payload sets nobody's prototype", async () => {
    const { transport, ...place } = open();
    const relay = place.relay({ job: free<Record<string, unknown>>() });
    const seen: Record<string, unknown>[] = [];
    relay.handle("job", (payload) => seen.push(payload));
    const evil = '{"a":{"__proto__":{"admin":true}},"\\u005f_proto__":{"admin":true},"b":1}';
    await transport.push(
      [{ queue: "default", id: "1", name: "job", payload: bytes(evil), meta: "" }],
      call,
    );
    await relay.drain();
    expect(seen).toEqual([{ a: {}, b: 1 }]);
    const copy = Object.assign({}, seen[0]?.["a"], seen[0]);
    expect(copy["admin"]).toBeUndefined();
    expect(Object.hasOwn(seen[0] ?? {}, "__proto__")).toBe(false);
  });

  it("a codec that changes while jobs wait leaves both kinds of jobs readable", async () => {
    const place = open();
    const before = place.relay({ job: { schema: free<string>(), codec: backwards } });
    await before.dispatch("job", "old", { id: "old" });
    const seen: string[] = [];
    const unaware = place.relay(jobs);
    unaware.handle("job", (payload) => seen.push(payload));
    await unaware.dispatch("job", "new", { id: "new" });
    await unaware.drain();
    expect(seen).toEqual(["new"]);
    // A codec that nobody here has is no reason to bury the job.
    expect(await unaware.info()).toMatchObject({ delayed: 1, failed: 0 });
    const old = await unaware.get("default", "old");
    expect([old?.codec, textOf(old?.payload ?? bytes(""))]).toEqual(["backwards", '"dlo"']);
    const aware = place.relay(jobs, { codecs: [backwards] });
    aware.handle("job", (payload) => seen.push(payload));
    await place.runtime.advance(60_000);
    await aware.drain();
    expect(seen).toEqual(["new", "old"]);
  });

  it.each([-HOUR, HOUR])("a clock that is stepped by %i ms loses no job", async (step) => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const seen: string[] = [];
    relay.handle("job", async (payload) => {
      seen.push(payload);
      await runtime.sleep(30_000);
    });
    await relay.dispatch("job", "delayed", { delay: 10_000 });
    await relay.dispatch("job", "at", { at: runtime.now() + 10_000 });
    await relay.dispatch("job", "running");
    const worker = running(relay, { lease: 20_000, maxLost: 50, poll: 60_000 });
    await runtime.advance(500);
    runtime.step(step);
    await relay.dispatch("job", "after");
    await relay.dispatch("job", "delayed after", { delay: 10_000 });
    await runtime.advance(HOUR + 120_000);
    await worker.abort();
    expect([...new Set(seen)].toSorted()).toEqual(["after", "at", "delayed", "delayed after", "running"]);
    expect(await relay.info()).toEqual({ waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0 });
  });

  it("times past 2^31-1 ms are neither now nor never", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    const aborted: boolean[] = [];
    relay.handle("job", async (_, { signal }) => {
      await runtime.sleep(1_000);
      aborted.push(signal.aborted);
    });
    const days = 86_400_000;
    const long = { grace: 30 * days, lease: 90 * days, abortGrace: 30 * days };
    const drain = async (): Promise<void> => {
      const drained = relay.drain(long);
      await runtime.advance(1_000);
      await drained;
    };
    await relay.dispatch("job", "soon", { timeout: 30 * days });
    await relay.dispatch("job", "later", { delay: 30 * days });
    await drain();
    expect(aborted).toEqual([false]);
    await runtime.advance(25 * days);
    await drain();
    expect(aborted).toEqual([false]);
    await runtime.advance(5 * days);
    await drain();
    expect(aborted).toEqual([false, false]);
  });

  it("ids, settlements and selections by the ten thousand fit into one call", async () => {
    const { transport, ...place } = open();
    const relay = place.relay(jobs);
    const ids = Array.from({ length: 10_000 }, (_, i) => `job ${i}`);
    await relay.dispatchMany(ids.map((id) => ({ name: "job", payload: "x", id })));
    const found = await transport.get("default", ids, call);
    expect(found.filter((entry) => entry?.channel === "waiting")).toHaveLength(10_000);
    const asks = { ...call, limit: 10_000, slots: 10_000, lease: 60_000, wait: 0 };
    const deliveries = await transport.reserve(["default"], asks);
    const leases = deliveries.map(({ queue, token }) => ({ queue, token, ms: 60_000 }));
    expect(new Set((await transport.extend(leases, call)).map((each) => "state" in each && each.state)))
      .toEqual(new Set(["held"]));
    const settled = await transport.settle(
      deliveries.map(({ queue, token, meta }) => ({ queue, token, to: "failed", meta, reason: "test" })),
      call,
    );
    expect(new Set(settled)).toEqual(new Set(["settled"]));
    expect(deliveries).toHaveLength(10_000);
    expect(await relay.reload("default", "failed", { ids })).toEqual({ reloaded: 10_000, taken: 0 });
    expect(await relay.remove("default", "waiting", { ids })).toBe(10_000);
  });

  it("a relay of the real clock neither fires a long timer at once nor keeps it after its end", async () => {
    const relay = createRelay({ jobs, transport: open().connect() });
    const errors = heard(relay.events, "error");
    const aborted: boolean[] = [];
    relay.handle("job", async (_, { signal }) => {
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
      aborted.push(signal.aborted);
    });
    await relay.dispatch("job", "x", { timeout: 2 ** 31 + 1_000 });
    await relay.drain();
    await relay.close();
    expect([aborted, errors]).toEqual([[false], []]);
    expect(await rejection(relay.dispatch("job", "x"))).toBeInstanceOf(RelayClosed);
  });
}
