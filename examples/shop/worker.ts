// Run it: npm install, then node examples/shop/worker.ts, as often as you like, and web.ts beside it.
// A worker: it handles orders and mail, and keeps the report going, whichever of the workers is up.
import process from "node:process";
import { every } from "../../mod.ts";
import { serve } from "../../src/http/mod.ts";
import { prometheus } from "../../src/prometheus/mod.ts";
import { asked, openShop } from "./jobs.ts";

const { METRICS_PORT = "0", SHOP_REPORT_MS = "60000" } = process.env;
const relay = await openShop();
const metrics = prometheus(relay);
const server = await serve(metrics.fetch, { port: Number(METRICS_PORT) });

relay.handle("order.placed", async ({ id, email, amount }) => {
  console.log(`order ${id}: ${amount.toFixed(2)}`);
  // A run that is repeated dispatches no second receipt.
  await relay.dispatch("receipt.send", { order: id, email }, { id: `receipt:${id}` });
});
relay.handle("receipt.send", ({ order }) => console.log(`receipt for order ${order} is sent`));
relay.handle("sales.report", async () => {
  const { waiting, failed } = await relay.info("orders");
  console.log(`report: ${waiting} orders wait, ${failed} failed`);
});

// Each worker says what it wants; the store keeps one schedule.
await relay.schedule("sales.report", {}, { when: every(Number(SHOP_REPORT_MS)), missed: "skip" });

const stop = new AbortController();
asked.then(() => stop.abort());
console.log(`working, metrics on ${server.url}`);
await relay.run({ signal: stop.signal, concurrency: 4 });
await server.close();
metrics[Symbol.dispose]();
await relay.close();
