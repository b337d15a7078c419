/** The shipped transports that run everywhere, as subjects of the conformance suite. */
import { createFakeRuntime, type Subject } from "../../../src/testing/mod.ts";
import type { Features, Transport } from "../../../src/contract/transport.ts";
import { memory } from "../../../src/transports/memory/mod.ts";

/** Many cases at a time share two cores: what is to happen in time gets so many times more of it. */
export const TOGETHER = 2;

/** What the memory transport must declare: the table of transports in the design. */
export const MEMORY_FEATURES: Features = {
  durable: false,
  shared: false,
  exactFence: true,
  exactInfo: true,
  atomicPush: true,
  remote: false,
  clock: "process",
  idLive: true,
  idWindow: true,
};

/** The memory transport under a clock of its own; `wrap` puts something around each. */
export function memorySubject(wrap: (inner: Transport) => Transport = (inner) => inner): Subject {
  const runtime = createFakeRuntime();
  const opened = new Map<string, Transport>();
  return {
    name: "memory",
    features: MEMORY_FEATURES,
    lacks: memory().lacks,
    topics: true,
    schedules: true,
    diagnose: true,
    create(store) {
      const transport = wrap(memory({ runtime }));
      opened.set(store, transport);
      return Promise.resolve(transport);
    },
    async inject(
      store,
      { queue, id = `#${opened.size}`, name = queue, meta = "", payload = new Uint8Array() },
    ) {
      const jobs = [{ queue, id, name, meta, payload }];
      const [pushed] = await opened.get(store)?.push(jobs, { deadline: 1_000 }) ?? [];
      if (pushed instanceof Error) throw pushed;
    },
    runtime: () => runtime,
    elapse: (ms) => runtime.advance(ms),
    now: () => runtime.now(),
    step: (ms) => runtime.step(ms),
    alive: () => runtime.sleepers,
  };
}
