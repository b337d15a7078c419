/**
 * Which slot of a Cluster a key is in.
 *
 * @module
 */

/** How many slots there are. */
export const SLOTS = 16_384;

const encoder = new TextEncoder();

/** The slot of a key: of the text in its first braces, where there is some, else of all of it. */
export function slotOf(key: string): number {
  const open = key.indexOf("{");
  const close = open < 0 ? -1 : key.indexOf("}", open + 1);
  const hashed = close > open + 1 ? key.slice(open + 1, close) : key;
  let crc = 0;
  for (const byte of encoder.encode(hashed)) {
    crc ^= byte << 8;
    // CRC-16/XMODEM, bit by bit: names are short, and the answer is remembered.
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
  }
  return crc % SLOTS;
}
