/** Requests to an admin handler behind a socket, each with the status that answers it, on whatever runtime. */
export interface Sent {
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** What the handlers of these tests let in, and where they are mounted. */
export const KEY = "k";
export const BASE = "/admin";
export const HOST = "jobs.example.org";

const key = { "x-key": KEY };
const json = { ...key, "content-type": "application/json" };
const post = { path: `${BASE}/dead/reload/preview`, method: "POST", headers: json, body: "{}" };
const from = (headers: Readonly<Record<string, string>>): Sent => ({
  ...post,
  headers: { ...json, ...headers },
});

/** What is asked, and the status of the answer. */
export const REQUESTS: readonly (readonly [what: string, status: number, sent: Sent])[] = [
  ["the list of operations", 200, { path: BASE, headers: key }],
  ["counts of queues", 200, { path: `${BASE}/queues/list`, headers: key }],
  ["a page of dead jobs", 200, { path: `${BASE}/dead/list?limit=2&channels=failed`, headers: key }],
  ["a diagnosis", 200, { path: `${BASE}/store/diagnose`, headers: key }],
  ["a preview", 200, post],
  ["an input that is none", 400, { path: `${BASE}/dead/list?limit=many`, headers: key }],
  ["a body that is no JSON", 400, { ...post, body: "{" }],
  ["a wrong key", 401, { path: `${BASE}/queues/list`, headers: { "x-key": "guess" } }],
  ["no key", 403, { path: `${BASE}/queues/list` }],
  ["an operation that there is not", 404, { path: `${BASE}/dead/revive`, headers: key }],
  ["a path beside the base", 404, { path: "/queues/list", headers: key }],
  ["a job that there is not", 404, { path: `${BASE}/dead/show?id=nothing`, headers: key }],
  ["a queue that there is not", 404, { path: `${BASE}/jobs/list?queue=nowhere`, headers: key }],
  ["a read by another method", 405, { path: `${BASE}/queues/list`, method: "DELETE", headers: key }],
  ["a write by another method", 405, { path: `${BASE}/dead/reload`, headers: key }],
  ["a write without a token", 409, { ...post, path: `${BASE}/dead/reload` }],
  ["a write by another preview's token", 409, {
    ...post,
    path: `${BASE}/dead/reload`,
    body: '{"token":"0-0"}',
  }],
  ["a body that is too large", 413, { ...post, body: JSON.stringify({ name: "x".repeat(100_000) }) }],
  ["a body of another type", 415, { ...post, headers: { ...key, "content-type": "text/plain" } }],
  ["a body of no type", 415, { ...post, headers: key }],
  ["a write from the same origin", 200, from({ "sec-fetch-site": "same-origin" })],
  ["a write from another site", 403, from({ "sec-fetch-site": "cross-site" })],
  ["a write from another host of the site", 403, from({ "sec-fetch-site": "same-site" })],
  ["a write by a link that was typed", 403, from({ "sec-fetch-site": "none" })],
  ["a write whose Origin is the Host", 200, from({ origin: `https://${HOST}` })],
  ["a write whose Origin is another", 403, from({ origin: "https://evil.example" })],
  ["a write whose Origin is hidden", 403, from({ origin: "null" })],
  ["a write whose Sec-Fetch-Site goes before its Origin", 200, {
    ...from({ "sec-fetch-site": "same-origin", origin: "https://evil.example" }),
  }],
  ["a read from another site", 200, {
    path: `${BASE}/queues/list`,
    headers: { ...key, "sec-fetch-site": "cross-site" },
  }],
];

/** Lets the key in, answers a wrong one with a challenge, and refuses the rest. */
export function authorize({ headers }: { readonly headers: Headers }): boolean | Response {
  const given = headers.get("x-key");
  if (given === KEY || given === null) return given === KEY;
  return new Response(null, { status: 401, headers: { "www-authenticate": "Key" } });
}
