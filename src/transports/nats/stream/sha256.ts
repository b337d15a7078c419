/**
 * SHA-256, for the names of streams alone: Web Crypto has it too, but only with a promise, and a name is wanted at once.
 *
 * @module
 */

const BLOCK = 64;
const ROUNDS = 64;

/** The hash of some bytes, in hexadecimal. */
export function sha256(bytes: Uint8Array): string {
  const { initial, keys } = constants();
  const state = Int32Array.from(initial);
  const padded = pad(bytes);
  for (let at = 0; at < padded.length; at += BLOCK) {
    compress(state, keys, new DataView(padded.buffer, at, BLOCK));
  }
  return [...state].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}

/** The first 32 bits of the fractions of the roots of primes, square ones for the state and cube ones for the rounds. */
function constants(): { readonly initial: readonly number[]; readonly keys: readonly number[] } {
  const primes: number[] = [];
  for (let n = 2; primes.length < ROUNDS; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n);
  const fraction = (root: number): number => ((root - Math.floor(root)) * 2 ** 32) | 0;
  return {
    initial: primes.slice(0, 8).map((n) => fraction(Math.sqrt(n))),
    keys: primes.map((n) => fraction(Math.cbrt(n))),
  };
}

function pad(bytes: Uint8Array): Uint8Array {
  const padded = new Uint8Array(Math.ceil((bytes.length + 9) / BLOCK) * BLOCK);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  new DataView(padded.buffer).setUint32(padded.length - 4, bytes.length * 8);
  return padded;
}

function compress(state: Int32Array, keys: readonly number[], block: DataView): void {
  const words = new Int32Array(ROUNDS);
  for (let i = 0; i < 16; i++) words[i] = block.getInt32(i * 4);
  const word = (i: number): number => words[i] ?? 0;
  for (let i = 16; i < ROUNDS; i++) {
    const small0 = turn(word(i - 15), 7) ^ turn(word(i - 15), 18) ^ (word(i - 15) >>> 3);
    const small1 = turn(word(i - 2), 17) ^ turn(word(i - 2), 19) ^ (word(i - 2) >>> 10);
    words[i] = word(i - 16) + small0 + word(i - 7) + small1;
  }
  let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state;
  for (let i = 0; i < ROUNDS; i++) {
    const big1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
    const first = (h + big1 + ((e & f) ^ (~e & g)) + (keys[i] ?? 0) + word(i)) | 0;
    const big0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22);
    const second = (big0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
  }
  for (const [i, value] of [a, b, c, d, e, f, g, h].entries()) state[i] = (state[i] ?? 0) + value;
}

function turn(value: number, by: number): number {
  return (value >>> by) | (value << (32 - by));
}
