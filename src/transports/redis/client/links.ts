/**
 * Which link goes where.
 *
 * @module
 */

import type { Address } from "./address.ts";
import { createClusterLink } from "./cluster.ts";
import type { Connection } from "./connection.ts";
import { createDriver } from "./driver.ts";
import { duplicatesOf, patternOf } from "./duplicates.ts";
import type { Link } from "./link.ts";
import type { Settings } from "../options.ts";
import { createStandalone } from "./standalone.ts";

/** Makes the link that the settings ask for; nothing is opened yet. */
export function createLink(settings: Settings, opened: (connection: Connection) => void): Link {
  const { target, name, runtime, patience, tls } = settings;
  const common = { name, runtime, patience, opened };
  const driver = createDriver();
  switch (target.kind) {
    case "server": {
      const client = clientOf(target.address, tls);
      return createStandalone({ ...common, recipe: async () => ({ create: await driver(), client }) });
    }
    case "client":
      return createStandalone({
        ...common,
        recipe: duplicatesOf(name, target.client, patience),
      });
    case "cluster": {
      const [first] = target.nodes;
      return createClusterLink({
        ...common,
        seeds: () => target.nodes,
        recipe: async (host, port) => ({
          create: await driver(),
          client: clientOf({ ...first, host, port }, tls),
        }),
      });
    }
    case "clusterClient":
      return createClusterLink({ ...common, ...patternOf(name, target.client) });
  }
}

/** Options of a client of node-redis. */
function clientOf(
  { host, port, tls: secure, username, password, database }: Address,
  tls: object,
): { readonly socket: object } {
  return {
    socket: { ...(secure ? { ...tls, tls: true } : {}), host, port },
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(database === 0 ? {} : { database }),
  };
}
