/**
 * Clients that were handed over, as patterns for our own: each connection is a duplicate of one. So they are sent
 * nothing, whatever state they are in, and a connection that ends, falls silent or leads to a replica is replaced as
 * any other is, which the owner of a client alone could do for it.
 *
 * Not the other way round, own connections as clients that reconnect by themselves: measured on node-redis 6.3, a
 * Cluster's client let writes of one caller overtake each other in three of five moves of a slot, came back after a
 * master's death in 5.5 s instead of 2.6 s, and none of its options had a half-open connection replaced within the
 * deadline of a call.
 *
 * @module
 */

import type { Alarms } from "../../../flow/alarms.ts";
import type { TransportError } from "../../../errors.ts";
import { cannotUse } from "../../../store/faults.ts";
import { type Client, type ClusterClient, COMMAND, type Recipe, textOf } from "./driver.ts";
import { addressOf } from "./topology.ts";

/** Makes recipes of a client that was handed over. */
export function duplicatesOf(
  name: string,
  client: Client,
  patience: number,
): (alarms: Alarms) => Promise<Recipe> {
  let database: number | undefined;
  return async (alarms) => {
    if (!client.isOpen) throw unconnected(name);
    database ??= await databaseOf(client, alarms, patience);
    return {
      create: client.duplicate.bind(client),
      client: { ...(database === undefined ? {} : { database }), socket: socketOf(client) },
    };
  };
}

/**
 * The database that a client has chosen since it was made, which its duplicates would not know of; undefined where it
 * does not say.
 */
async function databaseOf(client: Client, alarms: Alarms, patience: number): Promise<number | undefined> {
  if (!client.isReady) return undefined;
  return await new Promise((resolve) => {
    const alarm = alarms.set(patience, () => resolve(undefined));
    client.sendCommand(["CLIENT", "INFO"], COMMAND).then((reply) => {
      const database = /\bdb=(\d+)/.exec(textOf(reply instanceof Uint8Array ? reply : null))?.[1];
      resolve(database === undefined ? undefined : Number(database));
    }, () => {
      // It may be in a state, or its user without the right, in which it cannot be asked.
      resolve(undefined);
    }).finally(() => alarm.cancel());
  });
}

/** A copy of the socket's options, which a duplicate must not share, as they are changed. */
function socketOf({ options }: Client): object {
  const socket: unknown = options === undefined ? undefined : Reflect.get(options, "socket");
  return typeof socket === "object" && socket !== null ? { ...socket } : {};
}

/** Where a Cluster's client that was handed over goes. */
export interface ClusterPattern {
  /** Nodes that it knows, to be asked for the map. */
  seeds(): readonly { readonly host: string; readonly port: number }[];
  /** The recipe of a connection to a node. */
  recipe(host: string, port: number): Promise<Recipe>;
}

/** Makes a pattern of a Cluster's client. */
export function patternOf(name: string, cluster: ClusterClient): ClusterPattern {
  let model: Client | undefined;

  async function modelOf(): Promise<Client> {
    if (!cluster.isOpen) throw unconnected(name);
    return model ??= cluster.masters.flatMap(({ client }) => client === undefined ? [] : [client])[0] ??
      await cluster.getNodeClientForKey("");
  }

  return {
    seeds() {
      if (!cluster.isOpen) throw unconnected(name);
      return cluster.masters.map(({ host, port }) => ({ host, port }));
    },
    async recipe(host, port) {
      const client = await modelOf();
      const there = mapped(cluster, addressOf(host, port)) ?? { host, port };
      return { create: client.duplicate.bind(client), client: { socket: { ...socketOf(client), ...there } } };
    },
  };
}

/** Where a node can be reached that says another address of itself, as the client's option `nodeAddressMap` has it. */
function mapped(cluster: ClusterClient, address: string): object | undefined {
  const options: unknown = Reflect.get(cluster, "_options");
  const map: unknown = typeof options === "object" && options !== null
    ? Reflect.get(options, "nodeAddressMap")
    : undefined;
  let found: unknown;
  if (typeof map === "function") found = map(address);
  else if (typeof map === "object" && map !== null) found = Reflect.get(map, address);
  return typeof found === "object" && found !== null ? found : undefined;
}

function unconnected(name: string): TransportError {
  const why = "the client that was handed over must be connected: call its connect() first";
  return cannotUse(name, "TRANSPORT_UNAVAILABLE", why);
}
