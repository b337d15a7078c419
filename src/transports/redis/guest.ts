/**
 * A client that was handed over: used as it is, never closed, its own reconnecting relied upon. Nothing is sent while it
 * is not ready, as its queue of things to be sent might send them when nobody waits for them any more.
 *
 * @module
 */

import { TransportError } from "../../errors.ts";
import type { Ticket } from "./calls.ts";
import { type Connection, factsOf, refuse } from "./connection.ts";
import { argumentsOf, type Client, COMMAND, replyOf } from "./driver.ts";
import { ConnectionLost, isAnswer, unavailable } from "./errors.ts";
import type { Line } from "./line.ts";
import type { Argument, Reply } from "./link.ts";

/** Makes a line of a client that somebody else connects and closes. */
export function createGuestLine(
  name: string,
  client: Client,
  opened: (connection: Connection) => void,
): Line {
  const facts = new Map<string, string>();
  const connection = guestConnection(name, client, facts);
  let checked: Promise<void> | undefined;

  async function check(): Promise<void> {
    const found = await factsOf(connection);
    refuse(name, found, false);
    for (const [fact, value] of found) facts.set(fact, value);
    opened(connection);
  }

  return {
    get connection() {
      return client.isReady ? connection : undefined;
    },
    async connected(ticket) {
      await ready(name, client, ticket);
      try {
        await (checked ??= check());
      } catch (error) {
        checked = undefined;
        throw error;
      }
      return connection;
    },
    dismiss() {
      // Who waits for a client that was handed over waits for nothing else.
    },
    close() {
      // It is its owner's.
    },
  };
}

/** Commands over somebody else's client. */
export function guestConnection(
  name: string,
  client: Pick<Client, "isReady" | "sendCommand">,
  facts: ReadonlyMap<string, string>,
): Connection {
  return {
    get alive() {
      return client.isReady;
    },
    moved: false,
    facts,
    async send(args: readonly Argument[]): Promise<Reply> {
      try {
        return replyOf(await client.sendCommand(argumentsOf(args), COMMAND));
      } catch (error) {
        if (isAnswer(error)) throw error;
        throw new ConnectionLost(name, error);
      }
    },
    subscribe() {
      throw new TypeError("Cannot subscribe over a client that was handed over");
    },
    suspect() {
      // Whether it is dead is its owner's to find out.
    },
    whenLost() {
      // It connects anew by itself.
      return () => {};
    },
    close() {
      // It is its owner's.
    },
  };
}

/** Waits until somebody else's client is ready. */
function ready(name: string, client: Client, ticket: Ticket): Promise<void> {
  if (client.isReady) return Promise.resolve();
  ticket.late = () =>
    client.isOpen ? unavailable(name, ticket.deadline, undefined) : new TransportError(
      "TRANSPORT_UNAVAILABLE",
      `Cannot use ${name} as the client that was handed over must be connected: call its connect() first`,
    );
  return new Promise((resolve) => {
    const stop = (): void => {
      client.off("ready", stop);
      stay();
      resolve();
    };
    client.on("ready", stop);
    const stay = ticket.whenOver(() => {
      client.off("ready", stop);
      resolve();
    });
  });
}
