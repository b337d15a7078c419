/**
 * The codec `rich`: payloads that hold more than JSON does, written by [devalue](https://github.com/sveltejs/devalue).
 *
 * @example
 * ```ts
 * import { createRelay } from "@relevo/relevo";
 * import { rich } from "@relevo/relevo/rich";
 * import * as v from "valibot";
 *
 * const relay = createRelay({ jobs: { birthday: { schema: v.date(), codec: rich } } });
 * relay.handle("birthday", (day) => console.log(day.getUTCFullYear())); // 1815
 * await relay.dispatch("birthday", new Date("1815-12-10"));
 * await relay.drain();
 * await relay.close();
 * ```
 *
 * @module
 */

import { defaultStringifyOperations, parse, stringify } from "devalue";
import type { Codec } from "../payload/codec.ts";
import { readText, textBytes } from "../text.ts";

/**
 * Keeps Date, Map, Set, BigInt, `undefined`, NaN, the infinities, -0, RegExp, URL, bytes (ArrayBuffer and its views),
 * holes of lists, and objects that are inside themselves or there twice. No bytes at all are `undefined`.
 *
 * Refuses at dispatch, with the place: functions, symbols, promises, errors, and instances of classes. Of a view only
 * the bytes that it shows are stored. The stored bytes are a text of JSON that names the kinds of its values.
 *
 * @example
 * ```ts
 * import { createRelay } from "@relevo/relevo";
 * import { rich } from "@relevo/relevo/rich";
 * import * as v from "valibot";
 *
 * const relay = createRelay({
 *   jobs: { remind: { schema: v.object({ when: v.date() }), codec: rich } },
 * });
 * relay.handle("remind", ({ when }) => console.log(when.getUTCFullYear()));
 * await relay.dispatch("remind", { when: new Date("2030-01-01") });
 * await relay.drain();
 * await relay.close();
 * ```
 */
export const rich: Codec = {
  id: "rich",
  encode(value) {
    try {
      return textBytes(stringify(value, undefined, { operations: { viewInfo } }));
    } catch (error) {
      // The library's error holds the payload, and errors go into logs.
      throw new TypeError(`the codec 'rich' does not hold the value${placeOf(error)}`);
    }
  },
  decode(bytes) {
    if (bytes.length === 0) return undefined;
    const text = readText(bytes);
    try {
      return parse(text);
    } catch {
      throw new SyntaxError("the bytes are not of the codec 'rich'");
    }
  },
};

type ViewInfo = typeof defaultStringifyOperations.viewInfo;

/** A view with a buffer of its own: the rest of a shared one is no part of the payload, and may be secret. */
function viewInfo(view: Parameters<ViewInfo>[0]): ReturnType<ViewInfo> {
  const info = defaultStringifyOperations.viewInfo(view);
  if (info.byteLength === info.bufferByteLength) return info;
  const { buffer } = new Uint8Array(info.buffer, info.byteOffset, info.byteLength).slice();
  return { ...info, buffer, byteOffset: 0, bufferByteLength: info.byteLength };
}

/** Where it is, and the library's words for its kind. */
function placeOf(error: unknown): string {
  if (error instanceof RangeError) return ": it has too many levels";
  const { path, message }: { path?: unknown; message?: unknown } = Object(error);
  const place = typeof path === "string" && path !== "" ? ` at '${path.replace(/^\./, "")}'` : "";
  return typeof path === "string" ? `${place}: ${String(message).split(" — ")[0]}` : place;
}
