/**
 * What an operator can do, over HTTP: a handler of requests that mounts in any server, and a small server for Node.
 *
 * @module
 */

export { admin, type AdminHandler, type AdminHandlerOptions, type RedactedJob } from "./admin.ts";
export { serve, type Served, type ServeOptions } from "./serve.ts";
