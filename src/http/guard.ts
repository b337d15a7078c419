/**
 * Whether a request is allowed: authority, and for writes that no page of another site sent it.
 *
 * @module
 */

/** The answer to a request that is refused. */
export interface Denial {
  readonly status: number;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Bytes of a request's body at most. */
const MAX_BODY = 64 * 1_024;

/** Why a request with these headers may not write; undefined: it may. */
export function crossSite(request: Request): Denial | undefined {
  const site = request.headers.get("sec-fetch-site");
  if (site !== null) {
    if (site === "same-origin") return undefined;
    return {
      status: 403,
      message: `a write is refused from another site: Sec-Fetch-Site is ${JSON.stringify(site)}`,
    };
  }
  const origin = request.headers.get("origin");
  if (origin === null) return undefined;
  const host = request.headers.get("host") ?? new URL(request.url).host;
  if (URL.canParse(origin) && new URL(origin).host === host) return undefined;
  return {
    status: 403,
    message: "a write is refused from another site: Origin names another host than Host",
  };
}

/** The JSON of a write's body, or why it is refused. */
export async function bodyOf(request: Request): Promise<{ readonly value: unknown } | Denial> {
  const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type !== "application/json") {
    return { status: 415, message: "a write needs the content type 'application/json'" };
  }
  const bytes = await readWithin(request, MAX_BODY);
  if (bytes === undefined) return { status: 413, message: `a body holds at most ${MAX_BODY} bytes` };
  try {
    return {
      value: bytes.length === 0 ? {} : JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)),
    };
  } catch {
    // The parser's message would repeat a part of the body.
    return { status: 400, message: "the body must be JSON" };
  }
}

/** A body as bytes; undefined when there are more, which are not read. */
async function readWithin(request: Request, most: number): Promise<Uint8Array | undefined> {
  if (Number(request.headers.get("content-length") ?? 0) > most) return undefined;
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = request.body?.getReader();
  for (let part = await reader?.read(); part !== undefined && !part.done; part = await reader?.read()) {
    size += part.value.length;
    if (size > most) {
      await reader?.cancel();
      return undefined;
    }
    chunks.push(part.value);
  }
  const all = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    all.set(chunk, offset);
    offset += chunk.length;
  }
  return all;
}
