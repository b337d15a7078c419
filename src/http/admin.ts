/**
 * The admin handler: the operator's calls over HTTP, as JSON, in any server that knows `Request` and `Response`.
 *
 * @module
 */

import { messageOf, RelevoError } from "../errors.ts";
import type { Jobs } from "../jobs/definitions.ts";
import type { Desk, JobView, Operation } from "../operate/operation.ts";
import { Refusal } from "../operate/refusal.ts";
import { operations } from "../operate/table.ts";
import { checkBoolean, checkKnown, checkRelay, quote, wrongType } from "../options.ts";
import type { Relay } from "../relay/relay.ts";
import { systemRuntime } from "../runtime.ts";
import { bodyOf, crossSite, type Denial } from "./guard.ts";
import { inputOfQuery } from "./query.ts";

/** The options of {@linkcode admin}. */
export interface AdminHandlerOptions {
  /**
   * Decides of every request before it is looked at: `true` goes on, `false` is answered 403, a `Response` is sent as
   * it is, and so is 401 with a challenge. `"none"`: something in front of the handler guards it.
   */
  readonly authorize: "none" | ((request: Request) => boolean | Response | Promise<boolean | Response>);
  /** Answer 403 to every write. Default false. */
  readonly readOnly?: boolean | undefined;
  /** The part that is shown of a payload that was asked for, as text. Default: all of it. */
  readonly redact?: ((payload: string, job: RedactedJob) => string) | undefined;
  /** The path that the handler is mounted at, as `/admin/jobs`. Default: the root. */
  readonly basePath?: string | undefined;
}

/** Whose payload is to be shown. */
export interface RedactedJob {
  /** The job's id. */
  readonly id: string;
  /** The job's name. */
  readonly name: string;
  /** Where it is. */
  readonly queue: string;
}

/** Answers a request; never rejects. */
export type AdminHandler = (request: Request) => Promise<Response>;

const ACTION = "make an admin handler";

/**
 * Makes a handler that speaks JSON. `GET <base>/` lists the operations; an operation `dead.list` is at
 * `<base>/dead/list`: reads are `GET` with a query, writes are `POST` with a JSON body, and the jobs that a write would reach are
 * at `<base>/dead/reload/preview`, whose token the write needs.
 *
 * Answers: 200; 400 wrong input; 403 without authority, for a write from another site, or one where only reads are
 * allowed; 404 a thing that is not there; 405 another method; 409 a write that its preview does not allow; 413 a body
 * of more than 64 KiB; 415 a body that is no JSON by its type; 503 when the store fails. A fault is `{ "error": {
 * "message" } }`.
 *
 * @throws {TypeError} without `authorize`, as a `Request` does not tell where it comes from; for a value that is no
 * relay, and for an option that is wrong or unknown.
 *
 * @example
 * ```ts
 * import { createRelay } from "@relevo/relevo";
 * import { admin } from "@relevo/relevo/admin";
 *
 * const relay = createRelay({ jobs: {} });
 * const handler = admin(relay, {
 *   authorize: (request) => request.headers.get("authorization") === "Bearer secret",
 * });
 * const headers = { authorization: "Bearer secret" };
 * const response = await handler(new Request("http://localhost/queues/list", { headers }));
 * console.log(response.status, await response.json()); // 200 { queues: [] }
 * await relay.close();
 * ```
 */
export function admin<J extends Jobs>(relay: Relay<J>, options: AdminHandlerOptions): AdminHandler {
  checkRelay(ACTION, "a relay", relay);
  checkKnown(ACTION, options, ["authorize", "readOnly", "redact", "basePath"]);
  const { authorize, readOnly = false, redact, basePath = "" } = options;
  if (authorize !== "none" && typeof authorize !== "function") {
    throw new TypeError(
      `Cannot ${ACTION} as 'authorize' must be a function of the request, or "none" where something in front guards it: ` +
        `current value is ${quote(authorize)}`,
    );
  }
  checkBoolean(ACTION, "readOnly", readOnly);
  if (redact !== undefined && typeof redact !== "function") {
    throw wrongType(ACTION, "'redact'", "a function", redact);
  }
  if (!/^(\/[^/?#]+)*$/.test(basePath)) {
    throw wrongType(ACTION, "'basePath'", "a path without a slash at its end", basePath);
  }
  const desk: Desk = { relay, now: systemRuntime().now };
  return async (request) => {
    try {
      const denied = authorize === "none" ? true : await decided(authorize, request);
      if (denied instanceof Response) return denied;
      if (denied !== true) return fault({ status: 403, message: "not allowed" });
      return await answer(desk, request, basePath, readOnly, redact);
    } catch (error) {
      return fault(denialOf(error));
    }
  };
}

/** The decision about a request; an error on the way to it is the program's, whatever its kind. */
async function decided(
  authorize: Exclude<AdminHandlerOptions["authorize"], "none">,
  request: Request,
): Promise<boolean | Response> {
  try {
    return await authorize(request);
  } catch (cause) {
    throw new Error("'authorize' failed", { cause });
  }
}

async function answer(
  desk: Desk,
  request: Request,
  basePath: string,
  readOnly: boolean,
  redact: AdminHandlerOptions["redact"],
): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  if (pathname !== basePath && !pathname.startsWith(`${basePath}/`)) return missing();
  const path = pathname.slice(basePath.length).split("/").filter((part) => part !== "");
  if (path.length === 0) return request.method === "GET" ? json(index()) : wrongMethod("GET");
  const [noun, verb, what] = path;
  const operation = operations.get(`${noun}.${verb}`);
  if (operation === undefined || path.length > 3 || (what !== undefined && what !== "preview")) {
    return missing();
  }
  const bounds = { signal: request.signal };
  if (operation.kind === "read") {
    if (what !== undefined) return missing();
    if (request.method !== "GET") return wrongMethod("GET");
    return json(shown(await operation.run(desk, inputOfQuery(searchParams), bounds), redact));
  }
  if (request.method !== "POST") return wrongMethod("POST");
  const denial = readOnly && what === undefined
    ? { status: 403, message: "only reads are allowed here" }
    : crossSite(request);
  if (denial !== undefined) return fault(denial);
  const body = await bodyOf(request);
  if ("status" in body) return fault(body);
  if (what === undefined) return json(await operation.run(desk, body.value, bounds));
  const preview = await operation.preview?.(desk, body.value, bounds);
  return preview === undefined ? missing() : json(preview);
}

/** The operations, for programs that are made of them. */
function index(): object {
  const all = [...operations.values()].map(({ name, about, kind, preview }: Operation) => ({
    name,
    about,
    kind,
    preview: preview !== undefined,
  }));
  return { operations: all };
}

/** An answer whose payloads are redacted. */
function shown(output: unknown, redact: AdminHandlerOptions["redact"]): unknown {
  if (redact === undefined) return output;
  const one = (job: JobView): JobView => {
    if (job.payload === undefined) return job;
    try {
      return { ...job, payload: redact(job.payload, { id: job.id, name: job.name, queue: job.queue }) };
    } catch (cause) {
      // Its words may repeat the payload.
      throw new Error("'redact' failed", { cause });
    }
  };
  if (isPage(output)) return { ...output, jobs: output.jobs.map(one) };
  return isJob(output) ? one(output) : output;
}

function isPage(output: unknown): output is { readonly jobs: readonly JobView[] } {
  return typeof output === "object" && output !== null && "jobs" in output && Array.isArray(output.jobs);
}

function isJob(output: unknown): output is JobView {
  return typeof output === "object" && output !== null && "channel" in output && "payload" in output;
}

const STATUS = { input: 400, missing: 404, conflict: 409 } as const;

/** Whose fault an error is; the store's words may name hosts, and is told to logs alone. */
function denialOf(error: unknown): Denial {
  if (error instanceof Refusal) return { status: STATUS[error.kind], message: error.message };
  if (error instanceof RelevoError) {
    if (error.code === "UNKNOWN_QUEUE" || error.code === "UNKNOWN_SCHEDULE") {
      return { status: 404, message: error.message };
    }
    return { status: 503, message: `the store failed: ${error.code}` };
  }
  if (error instanceof TypeError || error instanceof RangeError) {
    return { status: 400, message: messageOf(error) };
  }
  return { status: 500, message: "the handler failed" };
}

function missing(): Response {
  return fault({ status: 404, message: "there is no such operation: GET the handler's root for a list" });
}

function wrongMethod(allow: string): Response {
  return fault({ status: 405, message: `the method must be ${allow}`, headers: { allow } });
}

function fault({ status, message, headers = {} }: Denial): Response {
  return json({ error: { message } }, status, headers);
}

function json(
  value: unknown,
  status: number = 200,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(JSON.stringify(value), {
    status,
    headers: {
      "content-type": "application/json",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      ...headers,
    },
  });
}
