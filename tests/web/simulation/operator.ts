/** The operator of a world: looks at the store, brings dead jobs back, removes others, and writes down what that did. */
import { type Channel, CHANNELS, DEAD_CHANNELS, type QueueInfo } from "../../../src/jobs/job.ts";
import { storedJobOf } from "../../../src/jobs/record.ts";
import type { HistoryLine } from "../../../src/testing/mod.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import type { Written } from "./recorder.ts";
import { OWN, QUEUES } from "./tasks.ts";

export interface Operator {
  /** Compares what `info` says with what is listed. */
  look(): Promise<void>;
  /** Reloads or removes one dead job. */
  operate(random: () => number): Promise<void>;
  /** Jobs that wait, are delayed or reserved. */
  live(): Promise<number>;
  /** Looks for the last time, takes away what is dead in one channel, and writes down what is left. */
  close(): Promise<void>;
}

type Counts = Readonly<Record<Channel, number>>;

const CALL = { deadline: 1_000 };
const ALL = { limit: 1_000, preview: 0 };

export function createOperator(
  store: Transport,
  now: () => number,
  write: (lines: readonly Written[]) => void,
): Operator {
  let calls = 0;

  /** All calls are made in one moment; the memory transport carries them out at once. */
  async function look(): Promise<void> {
    for (const queue of QUEUES) {
      const [info, ...pages] = await Promise.all([
        store.info(queue, CALL),
        ...CHANNELS.map((channel) => store.list(queue, channel, ALL, CALL)),
      ]);
      const listed = Object.fromEntries(
        CHANNELS.map((channel, n) => [channel, pages[n]?.entries.length ?? 0]),
      );
      write([{ op: "info", at: now(), queue, counts: countsOf(info), listed }]);
    }
  }

  async function counts(): Promise<Readonly<Record<string, Counts>>> {
    const infos = await Promise.all(QUEUES.map((queue) => store.info(queue, CALL)));
    return Object.fromEntries(QUEUES.map((queue, n) => [queue, countsOf(infos[n] as QueueInfo)]));
  }

  async function operate(random: () => number): Promise<void> {
    const queue = QUEUES[Math.floor(random() * QUEUES.length)] ?? "a";
    const channel = DEAD_CHANNELS[random() < 0.7 ? 0 : 1] ?? "failed";
    const reset = random() < 0.5;
    const removes = random() < 0.3;
    const { entries } = await store.list(queue, channel, ALL, CALL);
    const chosen = entries[Math.floor(random() * entries.length)];
    // Which of several jobs with one id is meant, or would be refused, is left to other tests.
    if (chosen === undefined || chosen.id.startsWith(OWN)) return;
    const { id } = chosen;
    if (removes) {
      const removed = await store.remove(queue, channel, { ids: [id] }, CALL);
      if (removed === 1) write([{ op: "remove", at: now(), queue, id }]);
      return;
    }
    // Noted before it is made, as a worker may begin the job in the same moment.
    const line = {
      op: "reload",
      at: now(),
      queue,
      id,
      reset,
      process: "operator",
      call: `${++calls}`,
    } as const;
    write([{ ...line, outcome: "unknown" }]);
    const { reloaded } = await store.reload(queue, channel, { ids: [id] }, { ...CALL, reset });
    write([{ ...line, outcome: reloaded === 1 ? "ok" : "fail" }]);
  }

  async function close(): Promise<void> {
    await look();
    const before = await counts();
    const { entries } = await store.list("a", "failed", ALL, CALL);
    await store.remove("a", "failed", "all", CALL);
    write([
      ...entries.map(({ id }): HistoryLine => ({ op: "remove", at: now(), queue: "a", id })),
      { op: "around", at: now(), queue: "a", channel: "failed", before, after: await counts() },
    ]);
    for (const queue of QUEUES) {
      for (const channel of CHANNELS) {
        const page = await store.list(queue, channel, ALL, CALL);
        write(page.entries.map((entry) => {
          const reason = storedJobOf(entry).dead?.reason;
          return {
            op: "left",
            at: now(),
            queue,
            id: entry.id,
            channel,
            ...(reason === undefined ? {} : { reason }),
          };
        }));
      }
    }
  }

  return {
    look,
    operate,
    close,
    async live() {
      const all = Object.values(await counts());
      return all.reduce((sum, { waiting, delayed, reserved }) => sum + waiting + delayed + reserved, 0);
    },
  };
}

function countsOf({ waiting, delayed, reserved, failed, timeout }: QueueInfo): Counts {
  return { waiting, delayed, reserved, failed, timeout };
}
