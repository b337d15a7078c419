/**
 * What codecs and versions cost: dispatching and draining jobs that pass them, beside jobs without and beside what is
 * asked of the runtime at the least. CPU of the whole process, as filters run on threads of the runtime's own.
 *
 * @module
 */

import process from "node:process";
import * as v from "valibot";
import { type Codec, createRelay, from, json, type Upcast } from "../../mod.ts";
import { aesGcm, gzip, keyRing, pipeline } from "../../src/codecs/mod.ts";
import { collect, type Figures, type Setting } from "./workload.ts";

const SMALL = "x".repeat(98);
/** 10 KB that compress to about a third, as texts do. */
const LARGE = Array.from(
  { length: 640 },
  (_, n) => (n * 2_654_435_761 % 2 ** 32).toString(16).padStart(8, "0") + "        ",
)
  .join("").slice(0, 10_238);
const IN_FLIGHT = 500;

/** Microseconds of CPU a job, dispatched and drained, and of the bare calls of the runtime. */
export async function codecs({ count }: Setting): Promise<Figures> {
  const jobs = count("jobs");
  const secret = new Uint8Array(32).fill(7);
  const ring = keyRing("main", [{ id: "k1", key: secret }]);
  const encrypted = pipeline(json, aesGcm(ring));
  const key = await crypto.subtle.importKey("raw", secret, "AES-GCM", false, ["encrypt", "decrypt"]);
  const wrapped = from(1, (text: string) => [text]).step(([text = ""]) => text);
  const few = Math.ceil(jobs / 10);
  return {
    "100 B, json, µs": await flowOf(jobs, SMALL, json),
    "100 B, two upcasts, µs": await flowOf(jobs, SMALL, json, wrapped),
    "100 B, aesGcm, µs": await flowOf(jobs, SMALL, encrypted),
    "100 B, bare Web Crypto, µs": await bare(jobs, SMALL, (bytes) => crypt(key, bytes)),
    "10 KB, json, µs": await flowOf(few, LARGE, json),
    "10 KB, aesGcm, µs": await flowOf(few, LARGE, encrypted),
    "10 KB, bare Web Crypto, µs": await bare(few, LARGE, (bytes) => crypt(key, bytes)),
    "10 KB, gzip, µs": await flowOf(few, LARGE, pipeline(json, gzip())),
    "10 KB, bare CompressionStream, µs": await bare(few, LARGE, squeeze),
  };
}

/** What a job costs from its dispatch by an older program to the end of its handler. */
async function flowOf(jobs: number, payload: string, codec: Codec, upcast?: Upcast<string>): Promise<number> {
  const schema = v.string();
  const writer = createRelay({ jobs: { job: { schema, codec } } });
  const { transport } = writer;
  const relay = createRelay({ jobs: { job: { schema, codec, upcast } }, transport });
  relay.handle("job", async () => {});
  const flow = async (many: number): Promise<void> => {
    await inFlight(many, () => writer.dispatch("job", payload));
    await relay.drain({ concurrency: 100 });
  };
  await flow(Math.min(jobs, 2_000));
  const cost = await cpu(jobs, () => flow(jobs));
  await Promise.all([writer.close(), relay.close()]);
  return cost;
}

async function bare(
  jobs: number,
  payload: string,
  pass: (bytes: Uint8Array<ArrayBuffer>) => Promise<unknown>,
): Promise<number> {
  const bytes = new TextEncoder().encode(JSON.stringify(payload));
  await inFlight(Math.min(jobs, 2_000), () => pass(bytes));
  return await cpu(jobs, () => inFlight(jobs, () => pass(bytes)));
}

/** There and back. */
async function crypt(key: CryptoKey, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const algorithm = { name: "AES-GCM", iv: crypto.getRandomValues(new Uint8Array(12)) };
  await crypto.subtle.decrypt(algorithm, key, await crypto.subtle.encrypt(algorithm, key, bytes));
}

async function squeeze(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const through = (
    given: ArrayBuffer | Uint8Array<ArrayBuffer>,
    stream: CompressionStream | DecompressionStream,
  ) => new Response(new Response(given).body?.pipeThrough(stream)).arrayBuffer();
  await through(await through(bytes, new CompressionStream("gzip")), new DecompressionStream("gzip"));
}

async function inFlight(many: number, call: () => Promise<unknown>): Promise<void> {
  for (let done = 0; done < many; done += IN_FLIGHT) {
    await Promise.all(Array.from({ length: Math.min(IN_FLIGHT, many - done) }, call));
  }
}

async function cpu(jobs: number, work: () => Promise<void>): Promise<number> {
  collect();
  const start = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / jobs;
}
