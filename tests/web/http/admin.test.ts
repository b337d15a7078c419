import { expect, test } from "vitest";
import { createRelay, deadLetter, memory, type Relay } from "../../../mod.ts";
import { admin, type AdminHandlerOptions } from "../../../src/http/mod.ts";
import { free, thrown } from "../support/kit.ts";

type Mails = { readonly mail: ReturnType<typeof free<{ readonly card: string }>> };

interface Place {
  readonly relay: Relay<Mails>;
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  post(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  send(path: string, init: RequestInit): Promise<Answer>;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers: Headers;
}

const HOST = "https://jobs.example.org";
const JSON_TYPE = { "content-type": "application/json" };

function place(options: Partial<AdminHandlerOptions> = {}): Place {
  const relay = createRelay({ jobs: { mail: free<{ readonly card: string }>() }, log: false });
  const handler = admin(relay, { authorize: "none", ...options });
  const send = async (path: string, init: RequestInit): Promise<Answer> => {
    const response = await handler(new Request(`${HOST}${path}`, init));
    const text = await response.text();
    return {
      status: response.status,
      body: text === "" ? undefined : JSON.parse(text),
      headers: response.headers,
    };
  };
  return {
    relay,
    send,
    get: (path, headers = {}) => send(path, { headers }),
    post: (path, body, headers = {}) =>
      send(path, { method: "POST", body: JSON.stringify(body), headers: { ...JSON_TYPE, ...headers } }),
  };
}

/** So many dead jobs. */
async function dead({ relay }: Place, count: number): Promise<void> {
  relay.handle("mail", () => deadLetter({ reason: "refused" }), { replace: true });
  await relay.dispatchMany(
    Array.from({ length: count }, (_, n) => ({ name: "mail", payload: { card: `4711-${n}` } }) as const),
  );
  await relay.drain();
}

function messageOf({ body }: Answer): string {
  return (body as { readonly error: { readonly message: string } }).error.message;
}

async function reload({ post }: Place, input: object = {}): Promise<Answer> {
  const { body } = await post("/dead/reload/preview", input);
  return await post("/dead/reload", { ...input, token: (body as { readonly token: string }).token });
}

test("the root lists the operations, and queues are read with 200 and never cached", async () => {
  const { relay, get } = place();
  await relay.dispatch("mail", { card: "4711" });
  const root = await get("/");
  expect(root).toMatchObject({ status: 200, body: { operations: expect.any(Array) } });
  const queues = await get("/queues/list");
  expect(queues).toMatchObject({ status: 200, body: { queues: [{ queue: "default", waiting: 1 }] } });
  expect(queues.headers.get("content-type")).toBe("application/json");
  expect(queues.headers.get("cache-control")).toBe("no-store");
});

test("payloads are left out unless asked for, and pass `redact`", async () => {
  const redact: AdminHandlerOptions["redact"] = (payload, { name }) =>
    payload.replace(/4711/, `${name}: ****`);
  const { relay, get } = place({ redact });
  await relay.dispatch("mail", { card: "4711" }, { id: "a" });
  for (const path of ["/jobs/list", "/jobs/show?id=a"]) {
    expect(JSON.stringify((await get(path)).body)).not.toContain("4711");
    const asked = await get(`${path}${path.includes("?") ? "&" : "?"}payload=true`);
    expect(JSON.stringify(asked.body)).toContain("mail: ****");
    expect(JSON.stringify(asked.body)).not.toContain("4711");
  }
});

test("a failing `redact` is no fault of the request, and its error, which may hold the payload, is told to no client", async () => {
  for (const Kind of [Error, TypeError, RangeError, SyntaxError]) {
    const { relay, get } = place({
      redact: (payload) => {
        throw new Kind(`no card in ${payload}`);
      },
    });
    await relay.dispatch("mail", { card: "4711" }, { id: "a" });
    for (const path of ["/jobs/list?payload=true", "/jobs/show?id=a&payload=true"]) {
      const failed = await get(path);
      expect([failed.status, messageOf(failed)]).toEqual([500, "the handler failed"]);
    }
  }
});

test("a query's numbers, flags and lists reach the operation", async () => {
  const here = place();
  await dead(here, 3);
  const { body } = await here.get("/dead/list?limit=2&channels=failed,timeout");
  expect(body).toMatchObject({ jobs: [{}, {}], cursor: expect.stringContaining("failed:") });
});

test("a write does what its preview showed, and another is 409", async () => {
  const here = place();
  await dead(here, 3);
  expect(await reload(here, { name: "mail" })).toMatchObject({
    status: 200,
    body: { reloaded: 3, taken: 0 },
  });
  const refused = await here.post("/dead/remove", { token: "0-0" });
  expect([refused.status, messageOf(refused)]).toEqual([409, expect.stringContaining("of another preview")]);
  expect((await here.post("/dead/remove", {})).status).toBe(409);
});

test("without authority every request is 403, a response of `authorize` is sent as it is, and a failing one allows nothing", async () => {
  const no = place({ authorize: () => false });
  expect((await no.get("/queues/list")).status).toBe(403);
  expect((await no.post("/dead/reload/preview", {})).status).toBe(403);
  const challenge = place({
    authorize: () => new Response("{}", { status: 401, headers: { "www-authenticate": "Bearer" } }),
  });
  const answer = await challenge.get("/");
  expect([answer.status, answer.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
  for (const Kind of [Error, TypeError, RangeError]) {
    const broken = place({ authorize: () => Promise.reject(new Kind("the secret store says: hunter2")) });
    const failed = await broken.get("/queues/list");
    expect([failed.status, messageOf(failed)]).toEqual([500, "the handler failed"]);
  }
  // What is no boolean is no yes.
  const odd = place({ authorize: () => "yes" as unknown as boolean });
  expect((await odd.get("/queues/list")).status).toBe(403);
  const yes = place({
    authorize: async (request) => await Promise.resolve(request.headers.get("x-key") === "k"),
  });
  expect((await yes.get("/queues/list", { "x-key": "k" })).status).toBe(200);
});

test.each([
  ["nothing", undefined, "undefined"],
  ["a transport", memory(), "an object"],
  ["the promise of a relay", Promise.resolve(), "a Promise"],
])("%s is no relay, which is told when the handler is made and not by each request", (_, none, shown) => {
  expect(thrown(() => admin(none as never, { authorize: "none" })).message).toBe(
    `Cannot make an admin handler as it takes a relay: current value is ${shown}`,
  );
});

test("a handler that nothing guards is refused when it is made", () => {
  const relay = createRelay({ jobs: {} });
  for (const authorize of [undefined, true, "nobody"]) {
    const error = thrown(() => admin(relay, { authorize } as unknown as AdminHandlerOptions));
    expect([error.name, error.message]).toEqual([
      "TypeError",
      expect.stringContaining("'authorize' must be a function"),
    ]);
  }
  for (const basePath of ["admin", "/admin/", "/a?b"]) {
    expect(thrown(() => admin(relay, { authorize: "none", basePath })).message).toContain(
      "'basePath' must be a path",
    );
  }
});

test.each([
  [{}, 200],
  [{ "sec-fetch-site": "same-origin" }, 200],
  [{ "sec-fetch-site": "same-origin", origin: "https://evil.example" }, 200],
  [{ "sec-fetch-site": "cross-site" }, 403],
  [{ "sec-fetch-site": "same-site" }, 403],
  [{ "sec-fetch-site": "none" }, 403],
  [{ origin: HOST }, 200],
  [{ origin: "https://evil.example" }, 403],
  [{ origin: "null" }, 403],
  [{ origin: HOST, host: "other.example.org" }, 403],
])("a write with the headers %j is %i", async (headers, status) => {
  const here = place();
  const answer = await here.post("/dead/reload/preview", {}, headers);
  expect(answer.status).toBe(status);
});

test("a write from another site does nothing, and a read answers", async () => {
  const here = place();
  await dead(here, 1);
  const { body } = await here.post("/dead/remove/preview", {});
  const { token } = body as { readonly token: string };
  const foreign = { "sec-fetch-site": "cross-site" };
  expect((await here.post("/dead/remove", { token }, foreign)).status).toBe(403);
  expect(await here.relay.info()).toMatchObject({ failed: 1 });
  expect((await here.get("/queues/list", foreign)).status).toBe(200);
});

test("a body of another type is 415, one that is no JSON 400, one that is too large 413", async () => {
  const { send } = place();
  const post = async (body: BodyInit | null, type: string | undefined): Promise<number> => {
    const headers = type === undefined ? new Headers() : { "content-type": type };
    return (await send("/dead/reload/preview", { method: "POST", body, headers })).status;
  };
  expect(await post("{}", "text/plain")).toBe(415);
  expect(await post("a=1", "application/x-www-form-urlencoded")).toBe(415);
  expect(await post("{}", "application/json; charset=utf-8")).toBe(200);
  expect(await post("", "application/json")).toBe(200);
  expect(await post("{", "application/json")).toBe(400);
  expect(await post(new Uint8Array([0xff]), "application/json")).toBe(400);
  expect(await post(JSON.stringify({ name: "x".repeat(70_000) }), "application/json")).toBe(413);
});

test("another method is 405 and says which; an unknown path is 404; wrong input is 400 with its place", async () => {
  const { send, get, post } = place();
  for (
    const [method, path, allow] of [
      ["DELETE", "/queues/list", "GET"],
      ["POST", "/", "GET"],
      ["GET", "/dead/reload", "POST"],
      ["PUT", "/dead/reload/preview", "POST"],
    ] as const
  ) {
    const answer = await send(path, { method });
    expect([answer.status, answer.headers.get("allow")]).toEqual([405, allow]);
  }
  for (const path of ["/dead", "/dead/revive", "/queues/list/preview", "/dead/reload/preview/more"]) {
    expect((await get(path)).status).toBe(404);
  }
  expect((await get("/jobs/show?id=nothing")).status).toBe(404);
  const wrong = await get("/jobs/list?limit=many&chanel=waiting");
  expect([wrong.status, messageOf(wrong)]).toEqual([400, expect.stringContaining("'limit'")]);
  expect(messageOf(wrong)).toContain("there is no 'chanel'");
  expect((await post("/dead/reload/preview", ["failed"])).status).toBe(400);
});

test("where only reads are allowed a preview answers and a write is 403", async () => {
  const here = place({ readOnly: true });
  await dead(here, 2);
  const preview = await here.post("/dead/remove/preview", {});
  expect(preview).toMatchObject({ status: 200, body: { count: 2 } });
  const { token } = preview.body as { readonly token: string };
  expect((await here.post("/dead/remove", { token })).status).toBe(403);
  expect(await here.relay.info()).toMatchObject({ failed: 2 });
});

test("a handler below a path answers there and nowhere else", async () => {
  const { get } = place({ basePath: "/admin/jobs" });
  expect((await get("/admin/jobs/queues/list")).status).toBe(200);
  expect((await get("/admin/jobs")).status).toBe(200);
  expect((await get("/queues/list")).status).toBe(404);
  expect((await get("/admin/jobsqueues/list")).status).toBe(404);
});

test("a store that fails is 503, and names no host", async () => {
  const { relay, get } = place();
  await relay.transport[Symbol.asyncDispose]();
  const answer = await get("/queues/list");
  expect([answer.status, messageOf(answer)]).toEqual([503, "the store failed: TRANSPORT_CLOSED"]);
});
