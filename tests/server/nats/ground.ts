/** Relays upon a NATS server, by the real clock: a prefix of its own for each test. */
import {
  createRelay,
  type Fitting,
  type Jobs,
  type Relay,
  type RelayOptions,
  type WorkerOptions,
} from "../../../mod.ts";
import { nats, type NatsOptions } from "../../../src/transports/nats/mod.ts";
import { running } from "../../web/support/kit.ts";
import { becomes } from "../support/becomes.ts";
import type { NatsServer } from "../support/servers/nats.ts";

/** What one test stands on. Disposing of it closes its relays. */
export interface Ground extends AsyncDisposable {
  readonly server: NatsServer;
  readonly prefix: string;
  /** A relay on a connection of its own, as another process has one. */
  relay<const J extends Jobs>(
    jobs: J & Fitting<J>,
    options?: Partial<NatsOptions>,
    more?: Omit<RelayOptions<J>, "jobs" | "transport">,
  ): Relay<J>;
  /** Calls the API of JetStream. */
  api(subject: string, body?: object): Promise<Record<string, unknown>>;
}

/** Makes one on a server. */
export function groundOn(server: NatsServer): Ground {
  const prefix = `g${crypto.randomUUID()}`;
  const relays: { close(options: { grace: number }): Promise<void> }[] = [];
  return {
    server,
    prefix,
    relay<const J extends Jobs>(
      jobs: J & Fitting<J>,
      options?: Partial<NatsOptions>,
      more?: Omit<RelayOptions<J>, "jobs" | "transport">,
    ) {
      const transport = nats({ servers: server.url, prefix, ackWait: 5_000, ...options });
      const relay = createRelay<J>({ jobs, transport, ...more });
      relays.push(relay);
      return relay;
    },
    async api(subject, body) {
      await using client = await server.raw();
      return JSON.parse(
        await client.request(`$JS.API.${subject}`, body === undefined ? "" : JSON.stringify(body)),
      );
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(relays.map((relay) => relay.close({ grace: 0 })));
    },
  };
}

/** Runs a worker until something has become true. */
export async function worksUntil(
  relay: Parameters<typeof running>[0],
  what: string,
  done: () => Promise<boolean> | boolean,
  options: WorkerOptions = {},
): Promise<void> {
  const worker = running(relay, { poll: 100, ...options });
  try {
    await becomes(what, done);
  } finally {
    await worker.abort();
  }
}
