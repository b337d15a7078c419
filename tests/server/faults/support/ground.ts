/** A server on which scenes play. */
import type { Server } from "../../support/servers/server.ts";
import type { Store } from "../fixtures/store.ts";
import { openScene, type Scene } from "./scene.ts";

export interface Ground {
  /** What titles and reports call it. */
  readonly name: string;
  readonly server: Server;
  /** A store of the scene's own, reached through a port of this machine. */
  store(lease: number, port: number): Store;
}

/** Opens a scene on a store of its own. */
export function sceneOn({ server, store }: Ground, lease: number): Scene {
  return openScene(() => store(lease, server.port));
}

/** The same store, reached through another port. */
export function through(store: Store, port: number): Store {
  return "port" in store ? { ...store, port } : store;
}
