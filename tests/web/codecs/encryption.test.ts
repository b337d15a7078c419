import { expect, test } from "vitest";
import {
  type Codec,
  createRelay,
  deadLetter,
  type ErrorRecord,
  json,
  memory,
  type PushJob,
  retry,
  type Transport,
  UndecodableError,
  UnknownKeyError,
} from "../../../mod.ts";
import { aesGcm, gzip, type KeyRing, keyRing, pipeline } from "../../../src/codecs/mod.ts";
import { readMeta } from "../../../src/jobs/record.ts";
import { createFakeRuntime } from "../../../src/testing/fake_runtime.ts";
import { bytes, free, heard, running, textOf } from "../support/kit.ts";
import { key } from "./support.ts";

const call = { deadline: 1_000 };
const old = keyRing("main", [key("k1")]);
const both = keyRing("main", [key("k1"), key("k2", 8)]);
const encrypted = (ring: KeyRing): Codec => pipeline(json, gzip(), aesGcm(ring));

interface Options {
  readonly transport?: Transport;
  readonly codec?: Codec | undefined;
  readonly require?: boolean;
}

function open({ transport = memory(), codec = encrypted(old), require = true }: Options = {}) {
  const schema = free<string>();
  const jobs = {
    letter: { schema, codec, require, maxAttempts: 2, aliases: ["old.letter"] },
    other: { schema, codec, require },
    news: { schema, codec, require, topic: true },
  };
  return createRelay({ jobs, transport });
}

/** The entry of a dispatched job, as another program could push it. */
async function stored(transport: Transport, id: string, queue = "default"): Promise<PushJob> {
  const [entry] = await transport.get(queue, [id], call);
  if (entry === undefined) throw new Error(`There is no job '${id}'`);
  const { name, payload, meta } = entry;
  return { queue, id, name, payload, meta };
}

const FORGED: readonly (readonly [how: string, forge: (job: PushJob) => PushJob])[] = [
  [
    "with a bit that was changed",
    (job) => ({ ...job, payload: job.payload.map((byte, n) => n === 40 ? byte ^ 1 : byte) }),
  ],
  ["without its last byte", (job) => ({ ...job, payload: job.payload.slice(0, -1) })],
  ["with nothing but its first bytes", (job) => ({ ...job, payload: job.payload.slice(0, 10) })],
  ["without any byte", (job) => ({ ...job, payload: new Uint8Array(0) })],
  ["under another id", (job) => ({ ...job, id: "b" })],
  ["under another name", (job) => ({ ...job, name: "other" })],
  ["under a name that it has as an alias", (job) => ({ ...job, name: "old.letter" })],
  ["in another queue", (job) => ({ ...job, queue: "q" })],
  ["as that of a schedule", (job) => ({ ...job, meta: job.meta.replace("{", '{"schedule":"a",') })],
  ["as clear text that names the pipeline", (job) => ({ ...job, payload: bytes('"x"') })],
  ["as clear text that names none", (job) => ({ ...job, payload: bytes('"x"'), meta: "" })],
  [
    "as compressed text that was not encrypted",
    (job) => ({ ...job, payload: bytes('"x"'), meta: '{"v":1,"codec":"json+gzip"}' }),
  ],
];

test.each(FORGED)(
  "an encrypted payload %s is dead at once as undecodable, and never handled",
  async (_, forge) => {
    const transport = memory();
    const relay = open({ transport });
    await relay.dispatch("letter", "Dear Ada", { id: "a" });
    const forged = forge(await stored(transport, "a"));
    await relay.remove("default", "waiting", "all");
    await transport.push([forged], call);
    const seen: unknown[] = [];
    for (const name of ["letter", "other"] as const) relay.handle(name, (text) => void seen.push(text));
    const failed = heard(relay.events, "failed");
    await relay.drain({ queues: ["default", "q"] });
    expect(seen).toEqual([]);
    expect(failed).toMatchObject([{ reason: "undecodable", channel: "failed", attempt: 1 }]);
    expect(failed[0]?.error).toBeInstanceOf(UndecodableError);
    const dead = await relay.get(forged.queue, forged.id);
    expect(dead).toMatchObject({
      attempts: 0,
      lastError: { code: "UNDECODABLE", message: failed[0]?.error.message },
    });
    expect(dead?.payload).toEqual(forged.payload);
    await relay.close();
  },
);

test("a small payload that inflates to more than the limit is dead at once as undecodable", async () => {
  const transport = memory();
  const bomb = new Uint8Array(
    await new Response(
      new Blob([new Uint8Array(64 * 2 ** 20)]).stream().pipeThrough(new CompressionStream("gzip")),
    ).arrayBuffer(),
  );
  const relay = createRelay({
    jobs: { letter: { schema: free<string>(), codec: pipeline(json, gzip()) } },
    transport,
  });
  const codec = '{"v":1,"codec":"json+gzip"}';
  for (
    const [id, payload] of [["bomb", bomb], ["cut", bomb.slice(0, 5_000)], [
      "junk",
      bomb.map((b, n) => n > 9 ? 0xff : b),
    ]] as const
  ) {
    await transport.push([{ queue: "default", id, name: "letter", payload, meta: codec }], call);
  }
  relay.handle("letter", () => {});
  const failed = heard(relay.events, "failed");
  await relay.drain({ concurrency: 1 });
  expect(failed.map(({ job, reason }) => [job.id, reason])).toEqual([
    ["bomb", "undecodable"],
    ["cut", "undecodable"],
    ["junk", "undecodable"],
  ]);
  expect(failed[0]?.error.message).toContain("more than 8388608 bytes");
  await relay.close();
});

test("a key, ring or filter that is unknown hands the job back, and a worker that knows it handles it", async () => {
  const runtime = createFakeRuntime();
  const transport = memory({ runtime });
  const schema = free<string>();
  const make = (codec: Codec) => createRelay({ jobs: { letter: { schema, codec } }, transport, runtime });
  const all = keyRing("other", [key("k1", 9)]);
  const newer = make(encrypted(both));
  await newer.dispatch("letter", "key");
  await make(pipeline(json, aesGcm(all))).dispatch("letter", "ring");
  await make(pipeline(json, { ...gzip(), id: "zip" })).dispatch("letter", "filter");
  const older = make(encrypted(old));
  older.handle("letter", () => {
    throw new Error("not this one");
  });
  const released = heard(older.events, "released");
  expect(await older.drain({ concurrency: 1 })).toMatchObject({ released: 3, failed: 0 });
  expect(released.map(({ reason }) => reason)).toEqual(["unknown", "unknown", "unknown"]);
  const knowing = createRelay({
    jobs: { letter: { schema, codec: encrypted(both) } },
    codecs: [pipeline(json, aesGcm(all)), pipeline(json, { ...gzip(), id: "zip" })],
    transport,
    runtime,
  });
  const seen: string[] = [];
  knowing.handle("letter", (text) => void seen.push(text));
  const worker = running(knowing);
  await runtime.advance(5_000);
  // Web Crypto works beside the event loop, and the fake clock does not wait for it.
  await expect.poll(() => seen.toSorted()).toEqual(["filter", "key", "ring"]);
  await worker.abort();
});

test("what nobody reads for 'unknownFor' is dead as unknown, and 'unknown' chooses for it", async () => {
  const runtime = createFakeRuntime();
  const transport = memory({ runtime });
  const make = (ring: KeyRing) =>
    createRelay({ jobs: { letter: { schema: free<string>(), codec: encrypted(ring) } }, transport, runtime });
  const older = make(old);
  older.handle("letter", () => {});
  await make(both).dispatch("letter", "x", { id: "1" });
  const failed = heard(older.events, "failed");
  const worker = running(older, { unknownFor: 10_000 });
  await runtime.advance(60_000);
  await expect.poll(() => failed).toMatchObject([{ reason: "unknown" }]);
  expect(failed[0]?.error).toBeInstanceOf(UnknownKeyError);
  expect(failed[0]?.error.message).toBe("The key ring 'main' has no key 'k2'");
  await worker.abort();
  await make(both).dispatch("letter", "x", { id: "2" });
  expect(await older.drain({ unknown: "dead" })).toMatchObject({ failed: 1 });
});

test("what a topic's groups get was bound to the topic, and a job under an alias to the name that it was dispatched by", async () => {
  const transport = memory();
  const relay = open({ transport });
  const seen: unknown[] = [];
  for (const group of ["a", "b"]) {
    relay.handle("news", (text, { job }) => void seen.push([text, job.queue]), { group });
    await relay.bind("news", group);
  }
  await relay.dispatch("news", "x");
  await relay.drain();
  expect(seen.toSorted()).toEqual([["x", "news@a"], ["x", "news@b"]]);
  const before = createRelay({
    jobs: { "old.letter": { schema: free<string>(), codec: encrypted(old) } },
    transport,
  });
  await before.dispatch("old.letter", "Dear Ada");
  relay.handle("letter", (text) => void seen.push(text));
  await relay.drain();
  expect(seen.at(-1)).toBe("Dear Ada");
});

test("a stored error's message and stack are encrypted in every copy, and read again where the key is", async () => {
  const transport = memory();
  const relay = open({ transport, codec: encrypted(both) });
  const seen: (ErrorRecord | undefined)[] = [];
  relay.handle("letter", (text, { attempt, job }) => {
    seen.push(job.lastError);
    const error = Object.assign(new RangeError(`secret of ${text}`), { code: "E_SECRET" });
    if (attempt === 1) return retry({ error, delay: 0 });
    throw error;
  });
  relay.handle("other", () => deadLetter({ reason: "refused", error: new Error("secret refusal") }));
  await relay.dispatch("letter", "Ada", { id: "1" });
  await relay.dispatch("other", "Bob", { id: "2" });
  const failed = heard(relay.events, "failed");
  const retrying = heard(relay.events, "retrying");
  expect(await relay.drain()).toMatchObject({ retried: 1, failed: 2 });
  expect(retrying[0]?.error.message).toBe("secret of Ada");
  expect(failed.map(({ error }) => error.message).toSorted()).toEqual(["secret of Ada", "secret refusal"]);
  expect(seen).toMatchObject([undefined, { name: "RangeError", message: "secret of Ada", code: "E_SECRET" }]);
  expect(seen[1]?.stack).toContain("secret of Ada");

  const [entry] = await transport.get("default", ["1"], call);
  expect(entry?.meta).not.toContain("secret");
  expect(textOf(entry?.payload ?? bytes("Ada"))).not.toContain("Ada");
  expect(readMeta(entry?.meta ?? "").lastError).toMatchObject({
    name: "RangeError",
    message: "[encrypted, key k2]",
    code: "E_SECRET",
    sealed: { by: "a256gcm:main" },
  });
  const { jobs } = await relay.list("default", "failed");
  expect(jobs.map(({ id, lastError, dead }) => [id, lastError?.message, dead?.reason]).toSorted()).toEqual([
    ["1", "secret of Ada", "exhausted"],
    ["2", "secret refusal", "refused"],
  ]);
  const shut = { name: "RangeError", message: "[encrypted, key k2]", code: "E_SECRET" };
  for (const codec of [encrypted(old), pipeline(json, aesGcm(keyRing("other", [key("k2")])))]) {
    const without = open({ transport, codec });
    expect((await without.get("default", "1"))?.lastError).toEqual(shut);
    expect((await without.list("default", "failed")).jobs.find(({ id }) => id === "1")?.lastError).toEqual(
      shut,
    );
  }
  await relay.reload("default", "failed", { ids: ["1"] });
  await relay.drain();
  expect(seen.at(-1)?.message).toBe("secret of Ada");
  expect((await relay.get("default", "1"))?.lastError?.message).toBe("secret of Ada");
});

test("an error whose job was pushed in clear text is encrypted where its definition encrypts", async () => {
  const transport = memory();
  const relay = open({ transport, require: false });
  relay.handle("letter", (text) => deadLetter({ reason: "refused", error: new Error(`secret of ${text}`) }));
  await transport.push(
    [{ queue: "default", id: "1", name: "letter", payload: bytes('"Ada"'), meta: "" }],
    call,
  );
  expect(await relay.drain()).toMatchObject({ failed: 1 });
  const [entry] = await transport.get("default", ["1"], call);
  expect(entry?.meta).not.toContain("secret");
  expect((await relay.get("default", "1"))?.lastError?.message).toBe("secret of Ada");
});

test("an error that cannot be encrypted is stored without its texts, and never in clear", async () => {
  const transport = memory();
  let broken = false;
  const ring: KeyRing = {
    ...old,
    key: (id) => broken ? Promise.reject(new Error("the keys are gone")) : old.key(id),
  };
  const relay = open({ transport, codec: pipeline(json, aesGcm(ring)) });
  relay.handle("letter", () => {
    broken = true;
    return deadLetter({ reason: "refused", error: new Error("secret") });
  });
  await relay.dispatch("letter", "Ada", { id: "1" });
  expect(await relay.drain()).toMatchObject({ failed: 1 });
  const [entry] = await transport.get("default", ["1"], call);
  expect(entry?.meta).not.toContain("secret");
  expect((await relay.get("default", "1"))?.lastError).toEqual({
    name: "Error",
    message: "[not stored, as it could not be encrypted]",
  });
});

test("each encryption has a nonce of its own, and old jobs stay readable when a newer key encrypts", async () => {
  const transport = memory();
  const before = open({ transport });
  await before.dispatch("letter", "same", { id: "1" });
  await before.dispatch("letter", "same", { id: "2" });
  const after = open({ transport, codec: encrypted(both) });
  await after.dispatch("letter", "same", { id: "3" });
  const [one, two, three] = await Promise.all(["1", "2", "3"].map((id) => stored(transport, id)));
  expect(one?.payload).not.toEqual(two?.payload);
  expect([one, two, three].map((job) => textOf(job?.payload.slice(2, 4) ?? bytes("")))).toEqual([
    "k1",
    "k1",
    "k2",
  ]);
  const seen: string[] = [];
  after.handle("letter", (text) => void seen.push(text));
  await after.drain();
  expect(seen).toEqual(["same", "same", "same"]);
});
