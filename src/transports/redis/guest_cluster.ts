/**
 * A link over a Cluster's client that was handed over: it finds the nodes, and bells are heard over duplicates of its
 * nodes' clients.
 *
 * @module
 */

import { createAlarms } from "../../alarms.ts";
import { TransportClosed } from "../../errors.ts";
import type { Call } from "../../exchange.ts";
import type { Runtime } from "../../runtime.ts";
import { ask, commandQuestion, createScripts, type Question, rest } from "./ask.ts";
import { createBells } from "./bells.ts";
import { createCalls, type Ticket } from "./calls.ts";
import { type Connection, factsOf, openConnection, refuse } from "./connection.ts";
import type { Client, ClusterClient } from "./driver.ts";
import { unavailable } from "./errors.ts";
import { guestConnection } from "./guest.ts";
import { createLine, type Line } from "./line.ts";
import type { Link, Reply } from "./link.ts";
import { slotOf } from "./slots.ts";
import { duplicateOf } from "./standalone.ts";

/** What such a link is made of. */
export interface GuestClusterOptions {
  readonly name: string;
  readonly runtime: Runtime;
  readonly cluster: ClusterClient;
  readonly patience: number;
  readonly opened: (connection: Connection) => void;
}

/** Milliseconds between two looks at whether somebody else's client is ready. */
const PAUSE = 50;

/** Milliseconds for which a bell waits for a node before it is asked again which one it is. */
const RETHINK = 1_000;
/** Why it waits no longer. */
const RETHOUGHT = "rethought";

/** Makes a link; nothing is opened yet. */
export function createGuestCluster({ name, runtime, cluster, patience, opened }: GuestClusterOptions): Link {
  const alarms = createAlarms(runtime);
  const calls = createCalls(name, runtime);
  const scripts = createScripts(true);
  const lines = new Map<string, Line>();
  const connections = new Map<number, Connection>();
  let checked: Promise<void> | undefined;
  const bells = createBells({
    runtime,
    async reach(channel, ticket) {
      for (;;) {
        await ready(ticket);
        const line = bellLine(await cluster.getNodeClientForKey(channel));
        // While nobody answers there, another node may come to serve the slot.
        const alarm = alarms.set(RETHINK, () => line.dismiss(RETHOUGHT));
        try {
          return await line.connected(ticket);
        } catch (error) {
          if (error !== RETHOUGHT) throw error;
        } finally {
          alarm.cancel();
        }
      }
    },
    refused: () => {},
  });

  async function ready(ticket: Ticket): Promise<void> {
    ticket.late = () => unavailable(name, ticket.deadline, undefined);
    while (!cluster.isReady) await rest(runtime, PAUSE, ticket);
  }

  function bellLine(node: Client): Line {
    const client = duplicateOf(node);
    const { host, port }: { readonly host?: unknown; readonly port?: unknown } = client.socket;
    const address = `${String(host)}:${String(port)}`;
    let line = lines.get(address);
    if (line === undefined) {
      line = createLine({
        name,
        runtime,
        open: (signal) =>
          openConnection({
            name,
            alarms,
            clustered: true,
            patience,
            signal,
            create: node.duplicate.bind(node),
            client,
          }),
      });
      lines.set(address, line);
    }
    return line;
  }

  /** One for each slot, as what went over a connection before is remembered. */
  function over(key: string): Connection {
    const slot = slotOf(key);
    let connection = connections.get(slot);
    if (connection === undefined) {
      connection = guestConnection(name, {
        get isReady() {
          return cluster.isReady;
        },
        sendCommand: (args, options) => cluster.sendCommand(key, false, args, options),
      }, new Map());
      connections.set(slot, connection);
    }
    return connection;
  }

  async function check(key: string): Promise<void> {
    const facts = await factsOf(over(key));
    refuse(name, facts, true);
    opened({ ...over(key), facts });
  }

  async function reach(key: string, ticket: Ticket): Promise<Connection> {
    await ready(ticket);
    try {
      await (checked ??= check(key));
    } catch (error) {
      checked = undefined;
      throw error;
    }
    return over(key);
  }

  function asked(key: string, call: Call, action: string, question: Question): Promise<Reply> {
    return calls.run(
      call,
      action,
      (ticket) => ask({ name, runtime, ticket, action, reach: (waiting) => reach(key, waiting) }, question),
    );
  }

  return {
    clustered: true,
    ordered: false,
    get reachable() {
      return cluster.isReady;
    },
    run: (script, keys, args, call) =>
      asked(keys[0] ?? "", call, `run '${script.name}' on ${name}`, scripts(script, keys, args)),
    command: (key, args, call) => asked(key, call, `ask ${name}`, commandQuestion(args)),
    listen: bells.listen,
    async close() {
      await calls.close();
      bells.close();
      for (const line of lines.values()) line.close(new TransportClosed(name));
      alarms.clear();
    },
  };
}
