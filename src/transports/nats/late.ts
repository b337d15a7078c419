/**
 * What is settled once more when its lease is over, as the answer of the first time was lost. By then another may have
 * the job, or have ended it. Whoever takes a message from somebody else publishes its one successor first: where nobody
 * has, it is published now, and nobody can any more.
 *
 * @module
 */

import type { Settled } from "../../exchange.ts";
import type { Bench } from "./bench.ts";
import { untold } from "./errors.ts";
import { haveLeft } from "./leaving.ts";
import { ACK, isOurs, type Move, successorOf, tellAll } from "./moves.ts";
import type { Held } from "./held.ts";
import { published, tombSubject } from "./publish.ts";
import { deleteMessage, storedAt } from "./read.ts";

/** The end of a delivery that is done, as a move: nothing comes behind it. */
export function tombOf({ place, line, seq, reply, record: { id, name } }: Held): Move {
  const record = { id, name, meta: "", marks: {} };
  return { place, line, seq, reply, subject: tombSubject(place, seq), payload: new Uint8Array(), record };
}

/** Ends a delivery that may have ended before. */
export async function settleLate(bench: Bench, held: Held, move: Move, until: number): Promise<Settled> {
  const { link } = bench;
  const { place, seq } = held;
  const isTomb = move.subject === tombSubject(place, seq);
  // What was published as long ago as that has been forgotten, and a second successor would be a second job.
  if (link.settings.runtime.monotonic() > held.safe + place.window / 2) {
    return await storedAt(bench, place, { seq }, until) === undefined ? untold() : "stale";
  }
  const { line: _, seq: __, reply: ___, ...letter } = move;
  const receipt = await published(link, { ...letter, once: successorOf(seq) }, until);
  // It has a successor, whoever's: what fails here is done by who finds it.
  const [failed] = await tellAll(link, [held], ACK, until);
  if (failed === undefined) await haveLeft(link, [held], until);
  const found = await storedAt(bench, place, { seq: receipt.seq }, until);
  // Ours stays until we have heard of it, so that what is gone was another's.
  if (found === undefined && (receipt.duplicate || receipt.twin)) return isTomb ? "stale" : untold();
  if (found !== undefined && !isOurs(found, move)) return "stale";
  if (isTomb) await deleteMessage(bench, place, receipt.seq, until).catch(() => undefined);
  return "settled";
}
