// A shop: what its web server and its workers share. The one place that names jobs, the store and the keys.
import process from "node:process";
import * as v from "valibot";
import { createRelay, exponential, type JobDefinition, json, type Relay } from "../../mod.ts";
import { aesGcm, keyRing, pipeline } from "../../src/codecs/mod.ts";
import { connect } from "../../src/connect.ts";

/** For trying it out: any reader of this file knows it. */
const DEVELOPMENT_KEY = "00".repeat(32);
const { SHOP_URL = "sqlite:shop.db", SHOP_KEY = DEVELOPMENT_KEY } = process.env;
if (SHOP_KEY === DEVELOPMENT_KEY) {
  console.error("SHOP_KEY is not set: payloads are encrypted with a key that is no secret");
}

const key = Uint8Array.from(SHOP_KEY.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
const sealed = pipeline(json, aesGcm(keyRing("shop", [{ id: "k1", key }])));

/** An order, as the web server takes it. */
export interface Order {
  readonly id: string;
  readonly email: string;
  readonly amount: number;
}

export const order: v.GenericSchema<Order> = v.object({
  id: v.pipe(v.string(), v.minLength(1)),
  email: v.string(),
  amount: v.number(),
});
const receipt = v.object({ order: v.string(), email: v.string() });

/** The jobs by their names, each with what it is dispatched with. */
export type Shop = {
  readonly "order.placed": JobDefinition<typeof order>;
  readonly "receipt.send": JobDefinition<v.GenericSchema<{ readonly order: string; readonly email: string }>>;
  readonly "sales.report": JobDefinition<v.GenericSchema<object>>;
};

/** The definitions, which tests give to `testRelay`. */
export const jobs: Shop = {
  // The addresses of customers are sealed: the store's readers see that there is an order, and not whose.
  "order.placed": {
    schema: order,
    queue: "orders",
    codec: sealed,
    require: true,
    maxAttempts: 5,
    backoff: exponential(1_000),
  },
  "receipt.send": { schema: receipt, queue: "mail", codec: sealed, require: true, timeout: 30_000 },
  "sales.report": { schema: v.object({}), queue: "reports" },
};

/** The shop's relay: over a file, or over what SHOP_URL names, such as `redis://127.0.0.1` or `nats://127.0.0.1`. */
export async function openShop(): Promise<Relay<Shop>> {
  return createRelay({ jobs, transport: await connect(SHOP_URL) });
}

/** Resolves when the process is asked to end, by Ctrl-C or by what runs it. */
export const asked: Promise<void> = new Promise((resolve) => {
  process.once("SIGINT", () => resolve());
  process.once("SIGTERM", () => resolve());
});
