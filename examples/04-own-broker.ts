// Run it: npm install, then node examples/04-own-broker.ts on Node 22.18 or later, or npx tsx examples/04-own-broker.ts on an older one.
// In your own program: "@relevo/relevo" instead of "../mod.ts", which needs no build here.
import * as v from "valibot";
import { createRelay, fixed, fromBroker, type Transport } from "../mod.ts";

/** A broker of ten lines: a BroadcastChannel reaches every thread of this process that listens at that moment. */
function threads(): Transport {
  return fromBroker({
    publish(topic, body) {
      const channel = new BroadcastChannel(topic);
      channel.postMessage(body);
      channel.close();
    },
    subscribe(topic, receive) {
      const channel = new BroadcastChannel(topic);
      channel.onmessage = (event: { readonly data: unknown }) => void receive(event.data as Uint8Array);
      return () => channel.close();
    },
  });
}

const jobs = { "invoice.send": v.object({ to: v.string() }) };
const worker = createRelay({ jobs, transport: threads() });
const stop = new AbortController();

worker.handle("invoice.send", ({ to }, { attempt }) => {
  console.log(`${to}: attempt ${attempt}`);
  // The broker knows nothing of retries, delays or dead letters: the worker's own memory keeps them.
  if (attempt < 3) throw new Error("the mail server is away");
});
worker.events.addEventListener("completed", () => stop.abort());
const subscribed = new Promise((resolve) => worker.events.addEventListener("idle", resolve));
const running = worker.run({ signal: stop.signal, backoff: fixed(100) });

// This broker keeps nothing: what is published before the worker has subscribed is lost.
await subscribed;
const publisher = createRelay({ jobs, transport: threads() });
const { status } = await publisher.dispatch("invoice.send", { to: "ada@example.com" });
console.log(status);

await running;
await worker.close();
await publisher.close();
