/** A server whose memory is full: pushes are refused whole, and all that runs can be settled in every form. */
import { expect, test } from "vitest";
import { call, held, job, scene, take } from "./model_support.ts";

const { open, send } = scene({ config: { "maxmemory-policy": "noeviction" } });

test("a push is refused whole, and everything that runs is settled in every form", async () => {
  const transport = open();
  await transport.push(
    [job("x", { idWindow: 60_000 }), ...Array.from({ length: 8 }, (_, n) => job(`${n}`))],
    call,
  );
  const deliveries = await take(transport, 8);
  await send("CONFIG", "SET", "maxmemory", 1);
  try {
    const refused = { code: "TRANSPORT_FULL" };
    await expect(transport.push([job("new"), job("late", { delay: 60_000 })], call)).rejects.toMatchObject(
      refused,
    );
    await expect(transport.push([job("new")], { ...call, atomic: true })).rejects.toMatchObject(refused);
    const [a, b, c, d, e, f, g, h] = deliveries.map(held);
    if (!a || !b || !c || !d || !e || !f || !g || !h) throw new Error("Fewer jobs than pushed");
    expect(await transport.extend([{ ...a, ms: 90_000 }], call)).toEqual([{ state: "held" }]);
    const results = await transport.settle([
      { ...a, to: "done" },
      { ...b, to: "again", meta: "m" },
      { ...c, to: "again", meta: "m", delay: 60_000 },
      { ...d, to: "failed", meta: "m", reason: "r" },
      { ...e, to: "timeout", meta: "m", reason: "r" },
      { ...f, to: "release" },
      { ...g, to: "again", meta: "m", payload: new Uint8Array(1_000) },
      { ...a, to: "done" },
    ], call);
    expect(results).toEqual([...Array.from({ length: 7 }, () => "settled"), "stale"]);
    expect(await transport.info("q", call)).toMatchObject({
      waiting: 4,
      delayed: 1,
      reserved: 1,
      failed: 1,
      timeout: 1,
    });
    expect((await take(transport, 9)).length).toBe(4);
    expect(await transport.remove("q", "failed", "all", call)).toBe(1);
    expect(await transport.get("q", ["new", "late"], call)).toEqual([undefined, undefined]);
  } finally {
    await send("CONFIG", "SET", "maxmemory", 0);
  }
  expect(await transport.push([job("new")], call)).toEqual(["stored"]);
});
