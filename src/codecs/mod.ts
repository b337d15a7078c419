/**
 * Codecs that compress and encrypt: a serializer and filters behind it, as a pipeline.
 *
 * @example
 * ```ts
 * import { createRelay, json } from "@relevo/relevo";
 * import { aesGcm, gzip, keyRing, pipeline } from "@relevo/relevo/codecs";
 * import * as v from "valibot";
 *
 * const ring = keyRing("main", [{ id: "k1", key: crypto.getRandomValues(new Uint8Array(32)) }]);
 * const codec = pipeline(json, gzip(), aesGcm(ring));
 * const relay = createRelay({ jobs: { letter: { schema: v.string(), codec, require: true } } });
 * relay.handle("letter", (text, { job }) => console.log(text, job.codec));
 * await relay.dispatch("letter", "Dear Ada");
 * await relay.drain();
 * await relay.close();
 * ```
 *
 * @module
 */

export { aesGcm } from "./aes_gcm.ts";
export { gzip, type GzipOptions } from "./gzip.ts";
export { type KeyRing, keyRing, type RingKey } from "./key_ring.ts";
export { pipeline } from "./pipeline.ts";
export type { WebCryptoKey } from "../runtime.ts";
