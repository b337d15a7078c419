/** One client per invocation: dispatches and handles one job over Redis, and leaves nothing behind. */
import { createRelay, type StandardSchema } from "../../../mod.ts";
import { redis } from "../../../src/transports/redis/mod.ts";

const anything: StandardSchema = {
  "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) },
};

const worker = {
  async fetch(request: Request, env: { readonly REDIS: string }): Promise<Response> {
    const id = new URL(request.url).pathname.slice(1);
    const seen: unknown[] = [];
    const relay = createRelay({
      transport: redis({ url: env.REDIS, warn: () => {} }),
      jobs: { greet: anything },
    });
    relay.handle("greet", (payload, { job }) => void seen.push([job.id, payload]));
    try {
      await relay.dispatch("greet", { hello: id }, { id });
      await relay.drain();
    } finally {
      await relay.close();
    }
    return Response.json(seen);
  },
};

export default worker;
