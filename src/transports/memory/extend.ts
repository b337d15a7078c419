/**
 * Leases that go on.
 *
 * @module
 */

import type { Extended, Extension } from "../../jobs/exchange.ts";
import type { Store } from "./context.ts";
import { find, prolong } from "./queue/room.ts";

export function extend(store: Store, leases: readonly Extension[]): readonly Extended[] {
  const { start } = store.clock.moment();
  return leases.map((lease): Extended => {
    const room = store.rooms.get(lease.queue);
    const item = room === undefined ? undefined : find(room, lease);
    if (room === undefined || item === undefined) return { state: "stale" };
    const end = start + Math.ceil(lease.ms);
    prolong(room, item, end);
    store.waiters.expect(room.name, end);
    return { state: "held" };
  });
}
