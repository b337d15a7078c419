/** What lies in a stream, as docs/transports/wire.md says: for those that look with another client. */
import { Buffer } from "node:buffer";
import { expect, test } from "vitest";
import { job } from "../../../src/testing/conformance/lab.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { namesOf } from "../../../src/transports/nats/stream/subjects.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { type Letter, lettersIn } from "./support.ts";

const CALL = { deadline: 60_000 };
const TAKE = { limit: 10, slots: 10, lease: 30_000, wait: 0, ...CALL };
const QUEUE = "work";
const MINUTE = 60_000;

/** What the subjects of a queue begin with, taken away; our header line and the body. */
function shown({ subject, relevo, body }: Letter, base: string): readonly unknown[] {
  return [subject.slice(base.length), relevo, new TextDecoder().decode(body)];
}

describeOn(["nats"], "In a stream of NATS", () => {
  const start = owned(() => startNats());

  async function ground(queue = QUEUE) {
    const server = await start();
    const prefix = `wire-${crypto.randomUUID()}`;
    const { stream, base } = namesOf(prefix, queue);
    const transport = nats({ servers: server.url, prefix });
    return {
      transport,
      base,
      stream,
      inQueue: async () => (await lettersIn(server, stream)).map((letter) => shown(letter, base)),
      raw: () => server.raw(),
    };
  }

  test("a job is one message by its state and id, and all but its payload is one header line", async () => {
    const { transport, inQueue } = await ground();
    await using _ = transport;
    const at = Date.now() + 600_000;
    const text = new TextEncoder().encode("text");
    await transport.push([
      job({ queue: QUEUE, id: "plain", name: "n", meta: "m", payload: text }),
      job({ queue: QUEUE, id: "Order 7/ä", name: "n", meta: "m", payload: text, idWindow: 0 }),
      job({ queue: QUEUE, id: "later", name: "n", meta: "m", payload: text, at }),
    ], CALL);
    expect(await inQueue()).toEqual([
      ["j.w.0.plain", ["plain", "n", "m"], "text"],
      ["j.w.0.Order=207=2f=c3=a4", ["Order 7/ä", "n", "m", { until: expect.any(Number) }], "text"],
      [`j.d.${Math.floor(at / MINUTE).toString(36)}.later`, ["later", "n", "m", { due: at }], "text"],
    ]);
  });

  test("its first message holds nothing, and stays when nothing else does; it is no job and makes no queue", async () => {
    const { transport, raw, stream, base, inQueue } = await ground();
    await using _ = transport;
    await using client = await raw();
    const first = async (): Promise<unknown> => {
      const question = JSON.stringify({ last_by_subj: `${base}o.first` });
      const { message } = JSON.parse(await client.request(`$JS.API.STREAM.MSG.GET.${stream}`, question));
      return [message?.seq, Buffer.from(message?.data ?? "", "base64").length > 60_000];
    };
    // A worker that waits makes the stream.
    await transport.reserve([QUEUE], { limit: 1, slots: 1, lease: 60_000, wait: 1, ...CALL });
    expect([await first(), await transport.queues(CALL)]).toEqual([[1, true], []]);
    expect(await transport.info(QUEUE, CALL)).toMatchObject({ waiting: 0, delayed: 0, reserved: 0 });
    await transport.push([job({ queue: QUEUE, id: "1", name: "n", meta: "m", delay: 600_000 })], CALL);
    expect(await transport.queues(CALL)).toEqual([QUEUE]);
    await transport.remove(QUEUE, "delayed", "all", CALL);
    expect([await inQueue(), await first()]).toEqual([[], [1, true]]);
  });

  test("what ended and what came back is where the page says", async () => {
    const { transport, inQueue } = await ground();
    await using _ = transport;
    const ids = ["released", "failed", "windowed", "done"];
    for (const id of ids) {
      await transport.push([
        job({ queue: QUEUE, id, name: "n", meta: "m", idWindow: id === "windowed" ? 60_000 : 0 }),
      ], CALL);
    }
    for (const { id, token } of await transport.reserve([QUEUE], TAKE)) {
      const ending = id === "released"
        ? { to: "release" as const }
        : id === "failed"
        ? { to: "failed" as const, meta: "dead", reason: "r" }
        : { to: "done" as const };
      expect(await transport.settle([{ queue: QUEUE, token, ...ending }], CALL)).toEqual(["settled"]);
    }
    const until = expect.any(Number);
    const found = (await inQueue()).map(([subject, relevo]) => [subject, relevo]);
    expect(found).toHaveLength(3);
    expect(found).toContainEqual(["j.b.0.released", ["released", "n", "m", {
      until,
      due: expect.any(Number),
    }]]);
    expect(found).toContainEqual([
      expect.stringMatching(/^x\.f\.failed\.[0-9a-z]{13}/i),
      ["failed", "n", "dead", { until, reason: "r", died: expect.any(Number) }],
    ]);
    expect(found).toContainEqual(["j.i.0.windowed", ["windowed", "n", "", { until }]]);
  });

  test("another program's entry becomes a job under its number, and a wrong field costs no job", async () => {
    const { transport, base, raw } = await ground();
    await using _ = transport;
    await transport.reserve([QUEUE], { ...TAKE, wait: 1 });
    await using client = await raw();
    await client.request(`${base}in.any.thing`, "theirs");
    const found = await transport.reserve([QUEUE], { ...TAKE, wait: 5_000 });
    expect(found.map(({ id, name, meta, lost }) => [id, name, meta, lost])).toEqual([["#2", QUEUE, "", 0]]);
  });

  test("a topic's groups have their own subjects in its stream, and each has a copy", async () => {
    const { transport, inQueue } = await ground("orders@");
    await using _ = transport;
    for (const group of ["a", "b c"]) await transport.topics?.bind("orders", group, CALL);
    await transport.push([job({ queue: "orders@", id: "x", name: "n", meta: "m", idWindow: 60_000 })], CALL);
    const subjects = (await inQueue()).map(([subject]) => subject);
    expect(subjects).toEqual([
      "g.groups",
      "q.a.j.w.0.x",
      expect.stringMatching(/^q\.b_c_[0-9a-f]{8}\.j\.w\.0\.x$/),
      "j.i.0.x",
    ]);
  });
});
