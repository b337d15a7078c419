/**
 * The admin handler, for operators and dashboards: the operator's calls, over HTTP, in any server, and a small server
 * for Node.
 *
 * @example
 * ```ts
 * import { createRelay } from "@relevo/relevo";
 * import { admin, serve } from "@relevo/relevo/admin";
 *
 * const relay = createRelay({ jobs: {} });
 * const handler = admin(relay, { authorize: ({ headers }) => headers.get("x-key") === "secret" });
 * const server = await serve(handler, { port: 0 });
 * const answer = await fetch(`${server.url}/queues/list`, { headers: { "x-key": "secret" } });
 * console.log(await answer.json()); // { queues: [] }
 * await server.close();
 * await relay.close();
 * ```
 *
 * @module
 */

export { admin, type AdminHandler, type AdminHandlerOptions, type RedactedJob } from "./admin.ts";
export { serve, type Served, type ServeOptions } from "./serve.ts";
