// A Worker for the edge: each request dispatches a job over a WebSocket, and a schedule handles what is due.
// It needs no compatibility flag. Deploy it with NATS_URL as a secret (wss://user:password@host:port) and a cron trigger.
// In your own program: "@relevo/relevo" and "@relevo/relevo/nats" instead of what begins with "..".
import * as v from "valibot";
import { createRelay, InvalidPayloadError, type Relay } from "../mod.ts";
import { nats } from "../src/transports/nats/mod.ts";

const jobs = { "email.welcome": v.object({ userId: v.pipe(v.number(), v.integer()) }) };

interface Environment {
  readonly NATS_URL: string;
}

/** Each invocation has a relay of its own, and closes it: a connection serves only the invocation that opened it. */
function open({ NATS_URL }: Environment): Relay<typeof jobs> {
  return createRelay({ jobs, transport: nats({ servers: NATS_URL }), callTimeout: 5_000 });
}

const worker = {
  async fetch(request: Request, env: Environment): Promise<Response> {
    const userId = Number(new URL(request.url).searchParams.get("userId") ?? NaN);
    await using relay = open(env);
    try {
      const { id, status } = await relay.dispatch("email.welcome", { userId });
      return Response.json({ id, status }, { status: 202 });
    } catch (error) {
      if (error instanceof InvalidPayloadError) return new Response(error.message, { status: 400 });
      throw error;
    }
  },

  async scheduled(_event: unknown, env: Environment): Promise<void> {
    await using relay = open(env);
    relay.handle("email.welcome", ({ userId }) => console.log(`Welcome, user ${userId}`));
    await relay.drain({ limit: 100, budget: 20_000 });
  },
};

export default worker;
