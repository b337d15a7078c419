/** What codecs, pipelines and key rings compile with. */
import * as v from "valibot";
import { type Codec, createRelay, type Filter, json, raw } from "../../mod.ts";
import { aesGcm, gzip, keyRing, pipeline } from "../../src/codecs/mod.ts";
import { rich } from "../../src/codecs/rich.ts";

const ring = keyRing("main", [{ id: "k1", key: new Uint8Array(32) }]);
// @ts-expect-error: a key is bytes, or one of Web Crypto
keyRing("main", [{ id: "k1", key: "secret" }]);

export const codecs: readonly Codec[] = [
  pipeline(json, gzip(), aesGcm(ring)),
  pipeline(rich, gzip({ maxInflated: 1_000 })),
  pipeline(raw),
];
// @ts-expect-error: a serializer may only be first
pipeline(json, gzip(), json);
// @ts-expect-error: a filter is no serializer
pipeline(gzip(), aesGcm(ring));
// @ts-expect-error: there is no such option
gzip({ level: 9 });
// @ts-expect-error: the keys stand in a ring
aesGcm(new Uint8Array(32));

const schema = v.string();
createRelay({ jobs: { letter: { schema, codec: pipeline(json, aesGcm(ring)), require: true } } });
// @ts-expect-error: a filter alone is no codec
createRelay({ jobs: { letter: { schema, codec: aesGcm(ring) } } });
// @ts-expect-error: it is required or not
createRelay({ jobs: { letter: { schema, codec: pipeline(json, aesGcm(ring)), require: "yes" } } });

// A filter may answer at once or later.
export const filters: readonly Filter[] = [
  { id: "now", apply: (bytes) => bytes, undo: (bytes) => bytes },
  { id: "later", apply: (bytes) => Promise.resolve(bytes), undo: (bytes) => Promise.resolve(bytes) },
];
// @ts-expect-error: bytes become bytes
export const wrong: Filter = { id: "wrong", apply: (bytes) => `${bytes}`, undo: (bytes) => bytes };
