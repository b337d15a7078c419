/** Topics and groups that cannot be, each refused where it is said. */
import { expect, it } from "vitest";
import { createRelay, type Relay, UnknownJobError, UnknownQueueError } from "../../../mod.ts";
import { free, rejection, thrown } from "../support/kit.ts";
import type { OpenPlace } from "../support/place.ts";

const schema = free<unknown>();
const jobs = {
  paid: { schema, topic: true, queue: "orders" },
  plain: { schema, queue: "bills" },
};
const nothing = (): void => undefined;

type Loose = (...rest: unknown[]) => Promise<unknown>;

function define(definitions: object): string {
  return thrown(() => createRelay({ jobs: Object(definitions) })).message;
}

function calls(relay: Relay<typeof jobs>): readonly (readonly [string, Loose])[] {
  return [["bind a group", relay.bind as Loose], ["unbind a group", relay.unbind as Loose]];
}

export function topics(open: OpenPlace): void {
  it("a name is a topic or a queue, in whichever order the definitions say so", () => {
    expect(define({ a: { schema, queue: "x" }, b: { schema, topic: true, queue: "x" } })).toBe(
      "Cannot define job 'b' with the topic 'x' as there is a queue of that name",
    );
    expect(define({ b: { schema, topic: true, queue: "x" }, a: { schema, queue: "x" } })).toBe(
      "Cannot define job 'a' with the queue 'x' as there is a topic of that name",
    );
    expect(define({ x: { schema, topic: true }, a: { schema, queue: "x" } })).toBe(
      "Cannot define job 'a' with the queue 'x' as there is a topic of that name",
    );
    expect(define({ default: { schema, topic: true } })).toBe(
      "Cannot define job 'default' with the topic 'default' as there is a queue of that name",
    );
    expect(define({ a: { schema, topic: "yes" } })).toBe(
      "Cannot define job 'a' as 'topic' must be true or false: current value is \"yes\"",
    );
  });

  it("a topic's name leaves room for a group's", async () => {
    const queue = "t".repeat(253);
    expect(define({ a: { schema, topic: true, queue: queue + "t" } })).toBe(
      "Cannot define job 'a' as the name of a topic must be at most 253 bytes: current size is 254",
    );
    expect(define({ ["t".repeat(254)]: { schema, topic: true } })).toContain(
      "name of a topic must be at most 253",
    );
    expect(define({ a: { schema, topic: true, queue: "" } })).toContain(
      "name of a topic must be a non-empty string",
    );
    const relay = open().relay({ a: { schema, topic: true, queue } });
    await relay.bind("a", "g");
    await relay.dispatch("a", 1);
    expect(await relay.info(`${queue}@g`)).toMatchObject({ waiting: 1 });
    expect((await rejection(relay.bind("a", "gg"))).message).toBe(
      "Cannot bind a group as the name of a group's queue must be at most 255 bytes: current size is 256",
    );
  });

  it("a topic needs a transport that has topics", () => {
    const { topics: _, ...transport } = open().transport;
    const { message } = thrown(() => createRelay({ jobs, transport }));
    expect(message).toBe(
      `Cannot make a relay with topic 'orders' as the ${transport.name} transport has no topics`,
    );
    expect(createRelay({ jobs: { plain: jobs.plain, off: { schema, topic: false } }, transport }))
      .toBeDefined();
  });

  it("a handler of a topic's job needs a group, and no other may have one", () => {
    const relay = open().relay(jobs);
    expect(thrown(() => relay.handle("paid", nothing)).message).toBe(
      "Cannot handle 'paid' without 'group' as its jobs go to the groups of topic 'orders'",
    );
    expect(thrown(() => relay.handle("plain", nothing, { group: "a" })).message).toBe(
      "Cannot handle 'plain' with 'group' as its jobs go to a queue: only topics have groups",
    );
    relay.handle("paid", nothing, { group: "a" });
    expect(thrown(() => relay.handle("paid", nothing, { group: "a" })).message).toBe(
      "Cannot handle 'paid' as it has a handler in group 'a': give { replace: true } to put another there",
    );
    relay.handle("paid", nothing, { group: "a", replace: true });
    relay.handle("paid", nothing, { group: "b" });
  });

  it("groups that no transport could keep are refused wherever one is said", async () => {
    const relay = open().relay(jobs);
    const groups = ["", "a@b", "a\nb", "a\0b", "\ud800", "x".repeat(249), "ü".repeat(125), 5, null, {}];
    for (const group of groups) {
      expect(thrown(() => relay.handle("paid", nothing, Object({ group }))).message).toMatch(
        /^Cannot handle 'paid' as the name of a group('s queue)? must/,
      );
      for (const [action, call] of calls(relay)) {
        expect((await rejection(call("paid", group))).message).toMatch(
          new RegExp(`^Cannot ${action} as the name of a group('s queue)? must`),
        );
      }
    }
    expect(await relay.groups("paid")).toEqual([]);
  });

  it("a call about groups needs a job of a topic", async () => {
    const relay = open().relay(jobs);
    const all = [
      ...calls(relay),
      ["list the groups", (name: unknown) => (relay.groups as Loose)(name)] as const,
    ];
    for (const [action, call] of all) {
      expect((await rejection(call("plain", "a"))).message).toBe(
        `Cannot ${action} of 'plain' as its jobs go to a queue: only topics have groups`,
      );
      expect(await rejection(call("nobody", "a"))).toBeInstanceOf(UnknownJobError);
    }
    expect((await rejection((relay.bind as Loose)("paid", "a", { now: true }))).message).toBe(
      "Cannot bind a group as there is no option 'now': there are signal",
    );
    expect((await rejection((relay.groups as Loose)("paid", { signal: 5 }))).message).toContain(
      "'signal' must",
    );
  });

  it("a topic's job goes to no other queue, and no other job goes to a topic", async () => {
    const relay = open().relay(jobs);
    for (const queue of ["bills", "orders", "orders@a"]) {
      expect((await rejection(relay.dispatch("paid", 1, { queue }))).message).toBe(
        "Cannot dispatch 'paid' with 'queue' as its jobs go to the groups of topic 'orders'",
      );
    }
    for (const queue of ["orders", "orders@", "orders@a"]) {
      expect(await rejection(relay.dispatch("plain", 1, { queue }))).toBeInstanceOf(UnknownQueueError);
    }
    expect(await relay.queues()).toEqual([]);
  });

  it("queues with an '@' that name no topic and group are refused wherever one is said", async () => {
    const relay = open().relay(jobs);
    expect(define({ a: { schema, queue: "a@b" } })).toBe(
      "Cannot define job 'a' as the name of a queue must not contain '@': current value is 'a@b'",
    );
    const bad = ["@", "@a", "a@b@c", "a@\n", `${"t".repeat(250)}@gggggg`, `${"t".repeat(254)}@`];
    for (const queue of bad) {
      const looks = [
        relay.info(queue),
        relay.list(queue, "failed"),
        relay.get(queue, "id"),
        relay.remove(queue, "failed", "all"),
        relay.reload(queue, "failed", "all"),
      ];
      for (const look of looks) expect((await rejection(look)).message).toMatch(/name of a (topic|group)/);
      expect(thrown(() => relay.worker({ queues: [queue] })).message).toMatch(/name of a (topic|group)/);
    }
    expect(thrown(() => relay.worker({ queues: ["orders@a", "orders@"] })).message).toBe(
      "Cannot make a worker as each of 'queues' must be a plain one or a group's: current value is 'orders@'",
    );
    expect(await rejection(relay.drain({ queues: ["orders@"] }))).toBeInstanceOf(TypeError);
  });
}
