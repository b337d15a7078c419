/** Messages of other programs on every subject of a queue's stream: none keeps a call or a job from its end. */
import { connect, headers as makeHeaders } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { createRelay, every, type Relay } from "../../../mod.ts";
import { free, heard, running } from "../../web/support/kit.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { namesOf } from "../../../src/transports/nats/stream/subjects.ts";
import { becomes } from "../support/becomes.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";

const PATIENCE = 120_000;
const jobs = {
  work: { schema: free<number>(), queue: "work" },
  news: { schema: free<number>(), queue: "news", topic: true },
} as const;

/** Header lines that are ours by their name and not by what they say. */
const LINES = [
  undefined,
  "",
  "x",
  "5",
  "null",
  "{}",
  "[]",
  "[1,2,3,4]",
  `["","","",{}]`,
  `["a","b","c",{"lost":"x","due":"y","until":{},"died":[],"reason":1}]`,
  `["a","b","c",{"lost":-1,"due":1e300,"until":-1e300,"died":9e15}]`,
  `{"tick":"x","paused":1,"text":5,"note":{}}`,
  `{"tick":1e300,"paused":false,"text":"{}"}`,
  `{"tick":1,"paused":false,"text":"{}","note":7}`,
  `[[["",1],["a@b",2],[3,4],["ok","x"]],["",5]]`,
  `[5,6]`,
  "9007199254740991",
];

/** Subjects behind a queue's own, and behind a topic's. */
const SUBJECTS = [
  "j.w.0.a",
  "j.w.7.b",
  "j.b.0.c",
  "j.d.0.d",
  "j.d.zzzzzzzzzzzz.e",
  "j.d.=.f",
  "j.i.0.g",
  "j.q.0.h",
  "j.w",
  "x.f.i.000000000",
  "x.t.j.=====",
  "x.f.k",
  "x.q.l.m",
  "h.1",
  "h.x",
  "s.n",
  "s.=zz",
  "o.checked",
  "o.first",
  "o.other",
  "in.x",
  "in",
  "g.groups",
  "g.other",
  "q.mail.j.w.0.o",
  "q.mail.s.p",
  "q.=.x",
  "z",
];

/** Asks all that an operator may ask; none of it fails. */
async function ask(relay: Relay<typeof jobs>): Promise<void> {
  for (const queue of ["work", "news@mail", "news@"]) {
    await relay.info(queue);
    for (const channel of ["waiting", "delayed", "reserved", "failed", "timeout"] as const) {
      let cursor: string | undefined;
      do cursor = (await relay.list(queue, channel, { limit: 50, cursor })).cursor; while (
        cursor !== undefined
      );
    }
    await relay.schedules.list({ queue });
    for (const id of ["a", "#5", "i", "k"]) await relay.get(queue, id);
  }
  await relay.queues();
  await relay.diagnose();
  await relay.groups("news");
}

describeOn(["nats"], "Messages of other programs on the subjects of NATS", () => {
  const start = owned(() => startNats());

  test("keep no operator's call, no dispatch, no tick and no job from its end", async () => {
    const { url } = await start();
    const prefix = `h${crypto.randomUUID()}`;
    await using relay = createRelay({
      jobs,
      transport: nats({ servers: url, prefix, ackWait: 5_000, warn: () => {} }),
      log: false,
      callTimeout: 20_000,
    });
    const seen: string[] = [];
    relay.handle("work", (n) => void seen.push(`work ${n}`));
    relay.handle("news", (n) => void seen.push(`news ${n}`), { group: "mail" });
    await relay.bind("news", "mail");
    await relay.dispatch("work", 1);
    await relay.dispatch("news", 1);
    await relay.schedule("work", 0, { when: every(1_000), key: "own" });
    const other = await connect({ servers: url.replace("nats://", "") });
    try {
      for (const { root } of ["work", "news@"].map((queue) => namesOf(prefix, queue))) {
        for (const [n, behind] of SUBJECTS.entries()) {
          for (const line of LINES) {
            const headers = makeHeaders();
            if (line !== undefined) headers.set("Relevo", line);
            other.publish(`${root}${behind}`, n % 2 === 0 ? "1" : "\u0000", { headers });
          }
        }
      }
      await other.flush();
    } finally {
      await other.close();
    }
    await ask(relay);
    const connections = heard(relay.events, "connection");
    await relay.dispatch("work", 2, { id: "mine" });
    await relay.dispatch("work", 3, { delay: 1_000 });
    await relay.dispatch("news", 2);
    const worker = running(relay, { poll: 200 });
    for (const text of ["work 1", "work 2", "work 3", "news 1", "news 2", "work 0"]) {
      await becomes(`'${text}' has run`, () => seen.includes(text), PATIENCE);
    }
    await ask(relay);
    await becomes("what can run has run", async () => {
      const { waiting, reserved } = await relay.info("work");
      return waiting + reserved <= 1;
    }, PATIENCE);
    await worker.abort();
    expect(connections).toEqual([]);
    await relay.reload("work", "failed", "all");
    // A job without a handler is tried again: one that falls due meanwhile waits where all that waited were removed.
    await becomes("the queue is empty", async () => {
      for (const channel of ["delayed", "waiting", "failed", "timeout"] as const) {
        await relay.remove("work", channel, "all");
      }
      const { waiting, delayed, reserved, failed, timeout } = await relay.info("work");
      return waiting + delayed + reserved + failed + timeout === 0;
    }, PATIENCE);
  }, 3 * PATIENCE);
});
