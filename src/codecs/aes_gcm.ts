/**
 * The filter `aesGcm`: encryption by Web Crypto, bound to the job.
 *
 * @module
 */

import type { Filter, FilterContext } from "../payload/codec.ts";
import { quote } from "../options.ts";
import { UnknownKeyError } from "../payload/payload_errors.ts";
import { webCrypto, type WebCryptoKey } from "../runtime.ts";
import { readText, textBytes } from "../text.ts";
import type { KeyRing } from "./key_ring.ts";

/** The envelope: its format, the length of the key's id, that id, the nonce, and the bytes of Web Crypto. */
const FORMAT = 1;
const HEAD = 2;
const NONCE = 12;
const TAG = 16;

/**
 * Encrypts with the ring's newest key, AES in Galois/Counter Mode and a fresh nonce each time; decrypts with any key
 * of the ring. The job's name, its queue or topic and its id are authenticated with it, so that a payload which was
 * moved to another job is refused, as one is that was changed.
 *
 * A payload that is encrypted with a key that the ring does not have is released for a worker that has it. Its id is
 * `a256gcm:` with the ring's name.
 *
 * @throws {TypeError} for a value that is no ring.
 */
export function aesGcm(ring: KeyRing): Filter {
  const { name, newest, key }: Partial<KeyRing> = Object(ring);
  if (typeof name !== "string" || typeof newest !== "string" || typeof key !== "function") {
    throw new TypeError(
      `Cannot make the filter 'aesGcm' as it needs a key ring: current value is ${quote(ring)}`,
    );
  }
  return {
    id: `a256gcm:${name}`,
    secret: true,
    settings: [ring],
    async apply(bytes, context) {
      const secret = await keyOf(ring, ring.newest);
      const iv = webCrypto().getRandomValues(new Uint8Array(NONCE));
      const sealed = await webCrypto().subtle.encrypt(cipher(iv, context), secret, bytes.slice());
      const id = textBytes(ring.newest);
      const envelope = new Uint8Array(HEAD + id.length + NONCE + sealed.byteLength);
      envelope.set([FORMAT, id.length]);
      envelope.set(id, HEAD);
      envelope.set(iv, HEAD + id.length);
      envelope.set(new Uint8Array(sealed), HEAD + id.length + NONCE);
      return envelope;
    },
    async undo(bytes, context) {
      const { id, iv, sealed } = open(bytes);
      const secret = await keyOf(ring, id);
      try {
        return new Uint8Array(await webCrypto().subtle.decrypt(cipher(iv, context), secret, sealed));
      } catch {
        throw new TypeError("the bytes were changed, or belong to another job");
      }
    },
    keyOf: (bytes) => open(bytes).id,
  };
}

async function keyOf(ring: KeyRing, id: string): Promise<WebCryptoKey> {
  const key = ring.key(id);
  if (key === undefined) throw new UnknownKeyError(ring.name, id);
  return await key;
}

/** The parts of an envelope. */
function open(bytes: Uint8Array): {
  readonly id: string;
  readonly iv: Uint8Array<ArrayBuffer>;
  readonly sealed: Uint8Array<ArrayBuffer>;
} {
  const [format, length = 0] = bytes;
  const body = HEAD + length + NONCE;
  if (format !== FORMAT || length === 0 || bytes.length < body + TAG) {
    throw new TypeError("the bytes are not encrypted, or not all of them are there");
  }
  return {
    id: readText(bytes.subarray(HEAD, HEAD + length)),
    iv: bytes.slice(HEAD + length, body),
    sealed: bytes.slice(body),
  };
}

/** The job of the bytes is authenticated, and not stored a second time. */
function cipher(iv: Uint8Array<ArrayBuffer>, { name, place, of, id, part }: FilterContext): AesGcmParams {
  const additionalData = textBytes(JSON.stringify([FORMAT, name, place, of, id, part])).slice();
  return { name: "AES-GCM", iv, additionalData };
}
