/**
 * Whether what was sent on has arrived, of which the server may not know any more. It remembers message ids for a window
 * only: where a process died between the two writes of a move, and nobody went on with it for longer than that, a second
 * successor would be taken. So before something old is moved once more its first successor is looked for, which bears the
 * message id still. Where that one is done, or has been moved itself, nothing tells of it, and the job runs again.
 *
 * @module
 */

import type { Bench } from "./bench.ts";
import { LINES } from "./lines.ts";
import { idToken, type Line } from "./names.ts";
import type { Place } from "./place.ts";
import { lineSubject } from "./publish.ts";
import { each, lastOf, newestGraves } from "./read.ts";

/** What may have been sent on before. */
export interface Sent {
  /** The job's id. */
  readonly id: string;
  /** The message id under which it was. */
  readonly once: string;
}

/** Milliseconds after which the server may have forgotten a message id, and a margin for what is on its way. */
export function memoryOf({ window }: Place): number {
  return window / 2;
}

/** Where it may be by now. */
export interface Whither {
  readonly lines: readonly Line[];
  /** Among the dead: those are listed, which takes longer the more they are. */
  readonly dead: boolean;
}

/** Where what was handed over goes. */
export const ANYWHERE: Whither = { lines: LINES, dead: true };

/** Those that are in a queue. */
export async function arrivedOf<T extends Sent>(
  bench: Bench,
  place: Place,
  sent: readonly T[],
  { lines, dead }: Whither,
  until: number,
): Promise<ReadonlySet<T>> {
  const found = new Set<T>();
  if (sent.length === 0 || await isNew(bench, place, until)) return found;
  await each(sent, async (one) => {
    const live = await Promise.all(
      lines.map((line) => lastOf(bench, place, lineSubject(place, line, one.id), until)),
    );
    if (live.some((message) => message?.once === one.once)) found.add(one);
  });
  if (!dead) return found;
  const rest = sent.filter((one) => !found.has(one));
  const graves = await newestGraves(bench, place, rest.map(({ id }) => id), until);
  await each(rest, async (one) => {
    const grave = graves.get(idToken(one.id));
    const buried = grave === undefined ? undefined : await lastOf(bench, place, grave.subject, until);
    if (buried?.once === one.once) found.add(one);
  });
  return found;
}

/** Whether a queue never held anything. */
async function isNew({ link }: Bench, { stream }: Place, until: number): Promise<boolean> {
  const { state } = await link.api<{ readonly state: { readonly last_seq: number } }>(
    `STREAM.INFO.${stream}`,
    undefined,
    until,
  );
  return state.last_seq === 0;
}
