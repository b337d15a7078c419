import { describe, expect, test } from "vitest";
import { createRandom } from "../../src/testing/fake_runtime.ts";
import { Order, type Placed, precedes } from "../../src/transports/memory/queue/order.ts";
import { bury, createRoom, hand, prolong, put } from "../../src/transports/memory/queue/room.ts";
import { Windows } from "../../src/transports/memory/queue/windows.ts";

describe("an order", () => {
  test.each([1, 2, 3, 4])("is a sorted array, whatever is added and taken out (seed %i)", (seed) => {
    const random = createRandom(seed);
    const order = new Order<Placed>();
    let model: Placed[] = [];
    const pick = (): Placed | undefined => model[Math.floor(random() * model.length)];
    for (let seq = 1; seq <= 8_000; seq++) {
      const growing = Math.floor(seq / 2_000) % 2 === 0;
      if (random() < (growing ? 0.7 : 0.3)) {
        const time = random() < 0.5 ? seq : Math.floor(random() * seq);
        const item = { time, seq };
        order.add(item);
        const at = model.findIndex((other) => precedes(item, other));
        model = at < 0 ? [...model, item] : model.toSpliced(at, 0, item);
      } else if (random() < 0.5) {
        expect(order.shift()).toBe(model[0]);
        model = model.slice(1);
      } else {
        const item = pick();
        if (item !== undefined) order.remove(item);
        model = model.filter((other) => other !== item);
      }
      expect(order.size).toBe(model.length);
      expect(order.first()).toBe(model[0]);
      if (seq % 500 > 0) continue;
      const place = pick();
      const time = place?.time ?? 0;
      expect([...order.after()]).toEqual(model);
      expect([...order.before()]).toEqual(model.toReversed());
      expect(order.countThrough(time)).toBe(model.filter((item) => item.time <= time).length);
      if (place === undefined) continue;
      const at = model.indexOf(place);
      expect([...order.after({ ...place })]).toEqual(model.slice(at + 1));
      expect([...order.before({ ...place })]).toEqual(model.slice(0, at).toReversed());
    }
  });

  test("refuses to take out what is not in it", () => {
    const order = new Order<Placed>();
    order.add({ time: 1, seq: 1 });
    order.add({ time: 3, seq: 2 });
    expect(() => order.remove({ time: 2, seq: 3 })).toThrow("not in this order");
  });
});

test("a lease that is extended for ever leaves nothing behind", () => {
  const room = createRoom("q");
  const payload = new Uint8Array();
  const item = put(
    room,
    { id: "1", name: "job", payload, meta: "" },
    { time: 0, read: 0, now: 0, start: 0, skew: 0 },
    1,
    0,
  );
  hand(room, item, "t-1", 10);
  for (let end = 11; end < 20_000; end++) prolong(room, item, end);
  expect(room.leases.size).toBe(1);
  expect([...room.leases.after()]).toEqual([item]);
});

describe("windows", () => {
  test("an id is refused until its window is over, and not a millisecond longer", () => {
    const windows = new Windows();
    windows.open("a", 100, 1);
    expect(windows.holds("a", 99)).toBe(true);
    expect(windows.holds("a", 100)).toBe(false);
  });

  test("clearing keeps up with opening, so that no more are kept than are open", () => {
    const windows = new Windows();
    for (let now = 0; now < 10_000; now++) {
      windows.purge(now);
      windows.open(`${now}`, now + 100, now);
    }
    expect(windows.size).toBeLessThanOrEqual(100);
  });

  test("clearing one that is over leaves the id's next one alone", () => {
    const windows = new Windows();
    windows.open("a", 100, 1);
    windows.open("a", 300, 2);
    windows.purge(200);
    expect(windows.holds("a", 200)).toBe(true);
  });
});

test("a job that rests keeps no bytes but its own", () => {
  const room = createRoom("q");
  const job = { id: "1", name: "job", payload: new Uint8Array(4_096).subarray(0, 10), meta: "" };
  const moment = { time: 0, read: 0, now: 0, start: 0, skew: 0 };
  expect(put(room, job, moment, 1, 1_000).payload.buffer.byteLength).toBe(10);
  const item = put(room, job, moment, 2, 0);
  hand(room, item, "t-1", 1_000);
  bury(room, item, { to: "failed", meta: "", reason: "refused" }, moment, 3);
  expect(room.dead.newest("1")?.payload.buffer.byteLength).toBe(10);
});
