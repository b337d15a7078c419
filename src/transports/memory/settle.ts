/**
 * Deliveries that end.
 *
 * @module
 */

import { errorOf } from "../../errors.ts";
import type { Settled, Settlement } from "../../jobs/exchange.ts";
import type { Moment } from "./clock.ts";
import { checkSize, dueOf, queuesIn, type Store } from "./context.ts";
import { again, bury, find, forget, type Item, release, type Room } from "./queue/room.ts";
import { wake } from "./topics.ts";

export function settle(store: Store, settlements: readonly Settlement[]): readonly Settled[] {
  const moment = store.clock.moment();
  const results: Settled[] = [];
  let room: Room | undefined;
  let back: Settlement[] | undefined;
  for (const settlement of settlements) {
    if (room === undefined || room.name !== settlement.queue) room = store.rooms.get(settlement.queue);
    const item = room === undefined ? undefined : find(room, settlement);
    if (room === undefined || item === undefined) results.push("stale");
    else results.push(settleOne(store, room, item, settlement, moment));
    if (settlement.to === "release" || settlement.to === "again") (back ??= []).push(settlement);
  }
  if (back !== undefined) wake(store, queuesIn(back));
  return results;
}

function settleOne(store: Store, room: Room, item: Item, settlement: Settlement, moment: Moment): Settled {
  switch (settlement.to) {
    case "done":
      forget(room, item);
      store.jobs--;
      return "settled";
    case "release":
      release(room, item, moment.now);
      return "settled";
    case "again":
      try {
        checkSize(settlement.payload ?? item.payload, settlement.meta);
      } catch (error) {
        return errorOf(error);
      }
      again(room, item, settlement, moment, ++store.seq, dueOf(store, moment, settlement));
      return "settled";
    case "failed":
    case "timeout":
      bury(room, item, settlement, moment, ++store.seq);
      return "settled";
  }
}
