/**
 * Key rings: the keys that payloads are encrypted with, each with an id that stands beside the bytes that it encrypted.
 *
 * @module
 */

import { isByteArray } from "../kinds.ts";
import { checkKnown, shown, wrongType } from "../options.ts";
import { webCrypto, type WebCryptoKey } from "../runtime.ts";

/** A key of a ring. */
export interface RingKey {
  /** Stands beside each payload that the key encrypted: 1 to 64 letters, digits, `.`, `_` or `-`. Never a secret. */
  readonly id: string;
  /** 32 bytes, which are copied; or a key of Web Crypto for AES-GCM. */
  readonly key: Uint8Array | WebCryptoKey;
}

/** Keys by their ids. */
export interface KeyRing {
  /** Stands in the records of payloads encrypted with its keys. */
  readonly name: string;
  /** The id of the key that encrypts. */
  readonly newest: string;
  /** The key of an id, if the ring has it. */
  key(id: string): Promise<WebCryptoKey> | undefined;
}

const WORD = /^[\w.-]{1,64}$/;
/** Bytes of a key. */
const KEY = 32;

/**
 * Makes a ring of keys in the order of their age: the last one is the newest and encrypts, all decrypt.
 *
 * To bring a new key in, deploy it to all workers first in front of the newest, then as the last. To take one out, wait
 * until no job is left that it encrypted.
 *
 * @throws {TypeError} for a name or an id of other characters, for an id that is there twice, and for a value that is
 * no key.
 */
export function keyRing(name: string, keys: readonly RingKey[]): KeyRing {
  const action = "make a key ring";
  checkWord(action, "its name", name);
  if (!Array.isArray(keys) || keys.length === 0) {
    throw wrongType(action, "'keys'", "a list of at least one key", keys);
  }
  const byId = new Map<string, () => Promise<WebCryptoKey>>();
  let newest = "";
  for (const given of keys) {
    const { id, key } = partsOf(action, given);
    newest = checkWord(action, "a key's id", id);
    if (byId.has(newest)) throw new TypeError(`Cannot ${action} as two keys have the id '${newest}'`);
    byId.set(newest, imported(newest, key));
  }
  return { name, newest, key: (id) => byId.get(id)?.() };
}

/** A key's parts; a slip in the name of one is told by the names that there are. */
function partsOf(action: string, given: unknown): { readonly id?: unknown; readonly key?: unknown } {
  if (typeof given !== "object" || given === null || !("id" in given)) {
    throw wrongType(action, "each of 'keys'", "an object { id, key }", given);
  }
  checkKnown(action, given, ["id", "key"]);
  return given;
}

function checkWord(action: string, what: string, text: unknown): string {
  if (typeof text === "string" && WORD.test(text)) return text;
  throw wrongType(action, what, "1 to 64 letters, digits, '.', '_' or '-'", text);
}

/** A key that is made ready when it is wanted first: nothing may wait, or draw, while a ring is made. */
function imported(id: string, key: unknown): () => Promise<WebCryptoKey> {
  if (isByteArray(key) && key.length === KEY) {
    const bytes = new Uint8Array(key);
    let ready: Promise<WebCryptoKey> | undefined;
    return () =>
      ready ??= webCrypto().subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]);
  }
  const { algorithm, type }: Partial<WebCryptoKey> = Object(key);
  if (type === "secret" && algorithm?.name === "AES-GCM") return () => Promise.resolve(key as WebCryptoKey);
  // The given value may be a secret.
  const given = isByteArray(key)
    ? `${key.length} bytes`
    : typeof key === "object" || key === undefined
    ? shown(key)
    : `a ${typeof key}`;
  throw new TypeError(
    `Cannot make a key ring as key '${id}' must be ${KEY} bytes or a key of Web Crypto for AES-GCM: current value is ${given}`,
  );
}
