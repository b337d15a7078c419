/**
 * Ports that speak something else than NATS: most wait for the first word, as the client waits for the server's
 * greeting. So a server that is silent for long is asked `PING`, which Redis answers, and web servers refuse.
 *
 * @module
 */

import { errorOf, TransportError } from "../../../errors.ts";
import { hush } from "../../../promises.ts";
import type { Runtime } from "../../../runtime.ts";

/** When a silent server is asked. */
export interface Asker {
  readonly runtime: Pick<Runtime, "sleep">;
  /** Milliseconds of silence before it is. */
  readonly patience: number;
}

const QUESTION = new TextEncoder().encode("PING\r\n");
/** The protocol of a port, by the first bytes of its answer. */
const SPEAKS: readonly (readonly [RegExp, string])[] = [
  [/^(\+PONG|-(NOAUTH|ERR|DENIED|LOADING|MOVED|WRONG))/, "this port speaks Redis, not NATS"],
  [/^HTTP\/|^<(!DOCTYPE|html)/i, "this port speaks HTTP, not NATS"],
  [/^(SSH-|220 |\* OK|\+OK)/, "this port does not speak NATS"],
];
/** The first byte of an answer of TLS to a message that is none of TLS. */
const TLS_ALERT = 0x15;
const WANTS_TLS = "this port wants TLS before its first word";

/**
 * Waits for a way over TCP to connect, and asks where nothing comes. Rejects with an error that names the protocol that
 * answered instead of NATS.
 */
export async function askSilent(
  way: object,
  connecting: Promise<void>,
  { runtime, patience }: Asker,
): Promise<void> {
  const ending = new AbortController();
  const asking = runtime.sleep(patience, ending.signal).then(() => ask(way));
  hush(asking);
  try {
    await connecting;
  } catch (error) {
    const heard = firstOf(way);
    const [, says = heard.charCodeAt(0) === TLS_ALERT ? WANTS_TLS : undefined] = SPEAKS.find(([words]) =>
      words.test(heard)
    ) ?? [];
    throw says === undefined
      ? error
      : new TransportError("TRANSPORT_INCOMPATIBLE", `Cannot use NATS as ${says}`, { cause: errorOf(error) });
  } finally {
    ending.abort();
  }
}

function ask(way: object): void {
  const socket: { readonly write?: unknown } = Object(Reflect.get(way, "socket"));
  if (typeof socket.write === "function" && firstOf(way) === "") socket.write(QUESTION);
}

/** The first bytes that the client got, as it keeps them until it has understood the greeting. */
function firstOf(way: object): string {
  const frames: unknown = Reflect.get(way, "yields");
  const first: unknown = Array.isArray(frames) ? frames[0] : undefined;
  return first instanceof Uint8Array ? String.fromCharCode(...first.subarray(0, 64)) : "";
}
