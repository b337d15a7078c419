/** Filters that end in the opposite order of the dispatches that they serve. */
import { type Codec, type Filter, json, type Relay } from "../../../mod.ts";
import { pipeline } from "../../../src/codecs/mod.ts";
import { door, type free, textOf } from "./kit.ts";

type Jobs = { readonly job: { readonly schema: ReturnType<typeof free<number>>; readonly codec: Codec } };

/** The order in which six jobs are handled, single ones and a bulk; they were dispatched as 0, 1, 2, 3, 4, 5. */
export async function orderBehindSlowFilters(
  open: (codec: Codec) => Pick<Relay<Jobs>, "handle" | "dispatch" | "dispatchMany" | "drain">,
): Promise<readonly number[]> {
  const doors = Array.from({ length: 6 }, door);
  const slow: Filter = {
    id: "slow",
    apply: (given) => (doors[JSON.parse(textOf(given))] ?? door()).opened.then(() => given),
    undo: (given) => given,
  };
  const relay = open(pipeline(json, slow));
  const seen: number[] = [];
  relay.handle("job", (n) => void seen.push(n));
  const all = [0, 1, 2].map((n) => relay.dispatch("job", n));
  const bulk = relay.dispatchMany([3, 4].map((payload) => ({ name: "job", payload })));
  const last = relay.dispatch("job", 5);
  for (const one of doors.toReversed()) one.open();
  await Promise.all([...all, bulk, last]);
  await relay.drain({ concurrency: 1 });
  return seen;
}
