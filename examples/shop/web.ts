// Run it: npm install, then node examples/shop/web.ts, and worker.ts once or more beside it.
// The web server: it takes orders and dispatches them, and shows metrics and the operator's calls.
import process from "node:process";
import * as v from "valibot";
import { admin, serve } from "../../src/http/mod.ts";
import { prometheus } from "../../src/prometheus/mod.ts";
import { asked, openShop, order } from "./jobs.ts";

const { PORT = "8080", SHOP_ADMIN } = process.env;
const relay = await openShop();
const metrics = prometheus(relay);
// Without a key of its own there is no way in.
const operate = SHOP_ADMIN === undefined ? undefined : admin(relay, {
  authorize: ({ headers }) => headers.get("authorization") === `Bearer ${SHOP_ADMIN}`,
  basePath: "/admin",
});

async function placeOrder(request: Request): Promise<Response> {
  const body: unknown = await request.json().catch(() => undefined);
  const read = v.safeParse(order, body);
  if (!read.success) return Response.json({ error: v.summarize(read.issues) }, { status: 400 });
  // The order's number is the job's id: a form that is sent twice is one order.
  const { id, status } = await relay.dispatch("order.placed", read.output, {
    id: `order:${read.output.id}`,
  });
  return Response.json({ job: id, status }, { status: 202 });
}

const server = await serve(async (request) => {
  const { pathname } = new URL(request.url);
  if (pathname === "/orders" && request.method === "POST") return await placeOrder(request);
  if (pathname === "/metrics") return await metrics.fetch(request);
  if (operate !== undefined && /^\/admin(\/|$)/.test(pathname)) return await operate(request);
  return new Response("not found\n", { status: 404 });
}, { port: Number(PORT) });
console.log(`listening on ${server.url}`);

await asked;
await server.close();
metrics[Symbol.dispose]();
await relay.close();
