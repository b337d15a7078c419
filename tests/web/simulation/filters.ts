/** Filters in a world: they take their time, as the die says, so that jobs wait before they are stored and run. */
import type { Codec, Filter, PushJob } from "../../../mod.ts";
import { json } from "../../../mod.ts";
import { pipeline } from "../../../src/codecs/mod.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { around } from "../mutants/mutants.ts";
import type { Ground } from "./ground.ts";
import { jobs } from "./tasks.ts";

/** The longest wait of a filter, in milliseconds: shorter than what a call may take, longer than the shortest lease. */
const LONGEST = 700;

/** The definitions with a filter behind their codec: error texts pass it, too. */
export function filteredJobs(
  { runtime, random, mood }: Pick<Ground, "runtime" | "random" | "mood">,
): typeof jobs {
  async function wait(bytes: Uint8Array): Promise<Uint8Array> {
    const [kind, length] = [random(), random()];
    if (!mood.calm && kind < 0.6) await runtime.sleep(kind < 0.1 ? length * LONGEST : length * 20);
    return bytes;
  }
  const drowsy: Filter = { id: "drowsy", secret: true, apply: wait, undo: wait };
  const codec: Codec = pipeline(json, drowsy);
  return {
    "a.task": { ...jobs["a.task"], codec },
    "b.task": { ...jobs["b.task"], codec },
    "t.task": { ...jobs["t.task"], codec },
  };
}

/** Notes jobs that are pushed behind one of their queue that was dispatched later: payloads are numbered by dispatch. */
export function watchingOrder(inner: Transport, note: (fault: string) => void): Transport {
  const last = new Map<string, number>();
  const see = ({ queue, payload }: PushJob): void => {
    const { n } = json.decode(payload) as { readonly n: number };
    const before = last.get(queue) ?? 0;
    if (n <= before) note(`places: job ${n} was pushed to '${queue}' behind job ${before}`);
    last.set(queue, n);
  };
  return around(inner, {
    push(pushed, call) {
      pushed.forEach(see);
      return inner.push(pushed, call);
    },
  });
}

/** A fault that is planted between a relay and what writes its pushes down: jobs of one call change places. */
export function changingPlaces(inner: Transport): Transport {
  return around(inner, {
    push: async (pushed, call) => (await inner.push(pushed.toReversed(), call)).toReversed(),
  });
}
