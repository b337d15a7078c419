/** Hundreds of thousands of messages in a queue's stream within seconds, as another program publishes them. */
import { connect, headers } from "@nats-io/transport-node";
import type { NatsServer } from "../support/servers/nats.ts";

/** Messages that are under way at once: of more than 10,000 the server drops some. */
const UNDER_WAY = 4_000;
/** Messages of which one is answered. */
const ANSWERED = 1_000;

/** A message to be stored; `relevo` is the text of its header line, undefined for none. */
export interface Put {
  readonly subject: string;
  readonly relevo?: string;
}

/** Stores so many messages, one behind the other; resolves when the last is stored. */
export async function storeMany(
  { url }: NatsServer,
  count: number,
  putOf: (n: number) => Put,
): Promise<void> {
  const connection = await connect({ servers: url.replace("nats://", "") });
  const payload = new TextEncoder().encode("1");
  const under: Promise<unknown>[] = [];
  try {
    for (let n = 0; n < count; n++) {
      const { subject, relevo } = putOf(n);
      const lines = headers();
      if (relevo !== undefined) lines.set("Relevo", relevo);
      const options = relevo === undefined ? {} : { headers: lines };
      if (n % ANSWERED !== 0 && n !== count - 1) connection.publish(subject, payload, options);
      else under.push(connection.request(subject, payload, { ...options, timeout: 60_000 }));
      if (under.length * ANSWERED > UNDER_WAY) await under.shift();
    }
    await Promise.all(under);
  } finally {
    await connection.close();
  }
}
