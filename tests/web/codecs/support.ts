/** Filters and rings of the tests. */
import type { Filter } from "../../../mod.ts";
import { type KeyRing, keyRing, type RingKey } from "../../../src/codecs/mod.ts";

/** A key of 32 equal bytes. */
export function key(id: string, byte = 7): RingKey {
  return { id, key: new Uint8Array(32).fill(byte) };
}

export const ring: KeyRing = keyRing("main", [key("k1")]);

/** A filter that turns bytes around, after a wait of the test's choice. */
export function slow(wait: (bytes: Uint8Array, way: "apply" | "undo") => Promise<void>): Filter {
  return {
    id: "slow",
    async apply(bytes) {
      await wait(bytes, "apply");
      return bytes.toReversed();
    },
    async undo(bytes) {
      await wait(bytes, "undo");
      return bytes.toReversed();
    },
  };
}
