/** A worker each of whose requests makes a relay, and with it a client, of its own. */
import { createRelay, fixed, type Relay, RelevoError, type Transport } from "../../../mod.ts";

const anything = {
  "~standard": { version: 1, vendor: "here", validate: (value: unknown) => ({ value }) },
} as const;
/** A pause that no drain of a failed run lasts for, be the machine busy. */
const jobs = { n: { schema: anything, backoff: fixed(4_000) } } as const;

/** Milliseconds that a call may take: all that a busy machine needs, one that is to be refused, and one of a kept relay. */
const CALL_TIMEOUT = { usual: 30_000, brief: 1_500, shared: 4_000 } as const;

/** Milliseconds that an invocation goes on when all is done, unless its caller leaves. */
const LINGER = 10_000;

/** What the configuration says. */
interface Environment {
  /** Where the server is. */
  readonly SERVER: string;
  /** Where it is, with a password that is wrong. */
  readonly REFUSED: string;
}

/** What workerd calls. */
interface Worker {
  fetch(request: Request, env: Environment): Promise<Response>;
}

/** The relay of the first request that asked for it. */
let shared: Relay<typeof jobs> | undefined;

/** Makes the worker, on whatever transport. */
export function invocations(open: (url: string) => Transport): Worker {
  const connect = (url: string, time: keyof typeof CALL_TIMEOUT): Relay<typeof jobs> =>
    createRelay({ jobs, transport: open(url), callTimeout: CALL_TIMEOUT[time] });

  async function answer(path: string, query: URLSearchParams, env: Environment): Promise<unknown> {
    if (path === "/") return "ready";
    const relay = path.startsWith("/shared") ? shared ??= connect(env.SERVER, "shared") : undefined;
    if (relay !== undefined) return await work(relay, query);
    const server = path === "/refused" ? env.REFUSED : env.SERVER;
    const own = connect(server, query.has("brief") ? "brief" : "usual");
    try {
      return await work(own, query);
    } finally {
      await own.close();
    }
  }

  return {
    async fetch(request, env) {
      const { pathname, searchParams } = new URL(request.url);
      try {
        const value = await answer(pathname, searchParams, env);
        return pathname === "/held" ? held(value) : Response.json(value);
      } catch (error) {
        const { name, code, message } = error as Partial<RelevoError>;
        return Response.json({ name, code, message, typed: error instanceof RelevoError }, { status: 500 });
      }
    },
  };
}

/** An answer whose end comes late, so that the invocation goes on: workerd closes what one leaves open at its end. */
function held(value: unknown): Response {
  const body = new ReadableStream({
    start: (controller) => controller.enqueue(new TextEncoder().encode(JSON.stringify(value))),
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, LINGER));
      controller.close();
    },
  });
  return new Response(body);
}

async function work(relay: Relay<typeof jobs>, query: URLSearchParams): Promise<unknown> {
  const value = query.get("dispatch");
  const stored = value === null ? undefined : (await relay.dispatch("n", value)).status;
  if (!query.has("drain")) return { stored };
  const handled: unknown[] = [];
  relay.handle("n", (each, { attempt }) => {
    if (query.get("drain") === "fails") throw new Error("on purpose");
    handled.push([each, attempt]);
  });
  const { completed, retried } = await relay.drain({ limit: 100 });
  return { stored, handled, completed, retried };
}
