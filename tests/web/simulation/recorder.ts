/**
 * Writes down what a worker or a producer does: a transport and handlers that note each step before they take it and
 * after it, so that a process that is killed in between leaves what it may have done.
 */
import type { HandlerContext } from "../../../src/jobs/context.ts";
import type { Delivery, Pushed, PushJob, Settled, Settlement } from "../../../src/jobs/exchange.ts";
import { readMeta, writeMeta } from "../../../src/jobs/record.ts";
import { TransportBusy } from "../../../src/errors.ts";
import type { HistoryLine } from "../../../src/testing/mod.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { around } from "../mutants/mutants.ts";

/** A line of a history; with `call`, it takes the place of an earlier one of the same call. */
export type Noted = HistoryLine & { readonly call?: string };

/** What a worker got hold of; no event of a history, but what a fault may strike. */
export interface Reserved {
  readonly op: "reserve";
  readonly process: string;
  readonly tokens: readonly string[];
}

export type Written = Noted | Reserved;

export interface RecorderOptions {
  readonly process: string;
  readonly now: () => number;
  readonly write: (lines: readonly Written[]) => void;
  /** When a delivery's lease ends, where that is known better than by when it was asked for. */
  readonly until?: (token: string) => number | undefined;
  /** Jobs of this process begin in the order of their dispatch. */
  readonly ordered?: boolean;
  /** The queues that what is pushed to a queue goes to; by default itself. */
  readonly targets?: (queue: string) => readonly string[];
}

export interface Recorder {
  /** Notes pushes, reserves, extensions and settlements. */
  transport(inner: Transport): Transport;
  /** Notes when a handler begins and ends. */
  handler<P>(
    handle: (payload: P, context: HandlerContext) => unknown,
  ): (payload: P, context: HandlerContext) => Promise<unknown>;
  /** Deliveries that were not settled yet. */
  readonly held: number;
}

/** The header in which a delivery's token reaches its handler. */
const TOKEN = "test-token";

interface Grip {
  readonly delivery: Delivery;
  readonly until: number;
}

export function createRecorder(options: RecorderOptions): Recorder {
  const { process, now, write, until, ordered, targets = (queue: string) => [queue] } = options;
  const held = new Map<string, Grip>();
  /** Tokens outlive their deliveries: a late settlement names one too. */
  const known = new Map<string, Delivery>();
  let calls = 0;

  /** Notes lines as what may happen, makes the call, and notes what did. */
  async function noted<T>(
    lines: readonly HistoryLine[],
    go: () => Promise<readonly T[]>,
    said: Told<T>,
  ): Promise<readonly T[]> {
    const call = ++calls;
    const from = now();
    const named = lines.map((line, n): Noted => ({ ...line, process, from, at: from, call: `${call}.${n}` }));
    write(named.map((line) => ({ ...line, outcome: "unknown" })));
    try {
      const answers = await go();
      const at = now();
      write(named.map((line, n) => ({ ...line, at, ...said(answers[n], answers) }) as Noted));
      return answers;
    } catch (error) {
      const at = now();
      write(
        named.map((line) => ({ ...line, at, outcome: error instanceof TransportBusy ? "fail" : "unknown" })),
      );
      throw error;
    }
  }

  function settleLine(settlement: Settlement): HistoryLine {
    const delivery = known.get(settlement.token);
    const base = {
      op: "settle",
      at: 0,
      queue: settlement.queue,
      id: delivery?.id ?? "?",
      token: settlement.token,
    } as const;
    if (settlement.to === "failed" || settlement.to === "timeout") {
      return { ...base, to: settlement.to, state: "settled", reason: settlement.reason };
    }
    if (settlement.to !== "again") return { ...base, to: settlement.to, state: "settled" };
    const before = delivery?.reset === true ? 0 : readMeta(delivery?.meta ?? "").attempts ?? 0;
    const after = readMeta(settlement.meta).attempts ?? 0;
    const cycle = after === before + 1 ? {} : { cycle: after === before ? "same" as const : "new" as const };
    const due = settlement.at ?? (settlement.delay === undefined ? undefined : now() + settlement.delay);
    return { ...base, to: "again", state: "settled", ...cycle, ...(due === undefined ? {} : { due }) };
  }

  return {
    get held(): number {
      return held.size;
    },
    transport: (inner) =>
      around(inner, {
        async push(jobs, call) {
          const copies = jobs.flatMap((job, index) =>
            targets(job.queue).map((queue) => ({ ...job, queue, index }))
          );
          let answers: readonly Pushed[] = [];
          const push = async (): Promise<readonly Pushed[]> => {
            answers = await inner.push(jobs, call);
            return copies.map(({ index }) => answers[index] ?? new Error("A transport did not answer"));
          };
          await noted(copies.map((job) => dispatchLine(job, now(), ordered)), push, toldOfPush);
          return answers;
        },
        async reserve(queues, options) {
          const asked = now();
          const deliveries = await inner.reserve(queues, options);
          for (const delivery of deliveries) {
            held.set(delivery.token, { delivery, until: until?.(delivery.token) ?? asked + delivery.lease });
            known.set(delivery.token, delivery);
          }
          if (deliveries.length > 0) {
            write([{
              op: "reserve",
              process,
              tokens: deliveries.map(({ token }) => token),
            }]);
          }
          return deliveries.map(marked);
        },
        extend(leases, call) {
          const asked = now();
          return noted(
            leases.map(({ queue, token, ms }) => ({
              op: "extend",
              at: 0,
              queue,
              id: known.get(token)?.id ?? "?",
              token,
              state: "held",
              until: now() + ms,
            })),
            () => inner.extend(leases, call),
            (answer) => {
              if (answer instanceof Error || answer === undefined) return { outcome: "unknown" };
              if (answer.state === "stale" || answer.lease === undefined) return { state: answer.state };
              return { state: "held", until: asked + answer.lease };
            },
          );
        },
        async settle(settlements, call) {
          const unmarked = settlements.map(clean);
          const answers = await noted<Settled>(unmarked.map(settleLine), () =>
            inner.settle(unmarked, call), (answer) =>
            answer instanceof Error || answer === undefined ? { outcome: "unknown" } : { state: answer });
          answers.forEach((answer, n) => {
            if (!(answer instanceof Error)) {
              held.delete(settlements[n]?.token ?? "");
            }
          });
          return answers;
        },
      }),
    handler: (handle) => async (payload, context) => {
      const { queue, id, headers } = context.job;
      const token = headers[TOKEN] ?? "";
      const grip = held.get(token);
      const digest = digestOf(context.job.payload, headers);
      const job = { process, queue, id, token };
      write([{ op: "start", at: now(), ...job, attempt: context.attempt, until: grip?.until ?? 0, digest }]);
      let failed = true;
      try {
        const result = await handle(payload, context);
        failed = false;
        return result;
      } finally {
        write([{ op: "end", at: now(), ...job, ...(failed ? { failed } : {}) }]);
      }
    },
  };
}

type Told<T> = (answer: T | undefined, all: readonly T[]) => object;

/** Of an atomic batch that was refused nothing is known but that it was not stored: two of its ids may be one. */
function toldOfPush(answer: Pushed | undefined, all: readonly Pushed[]): object {
  if (all.includes("withheld") || certain(answer)) return { outcome: "fail" };
  return answer === "stored" || answer === "duplicate" ? { status: answer } : { outcome: "unknown" };
}

function certain(answer: unknown): boolean {
  return answer instanceof TypeError || answer instanceof RangeError || answer instanceof TransportBusy;
}

function dispatchLine(job: PushJob, now: number, ordered = false): HistoryLine {
  const { maxAttempts, headers = {} } = readMeta(job.meta);
  const due = job.at ?? (job.delay === undefined ? undefined : now + job.delay);
  return {
    op: "dispatch",
    at: now,
    queue: job.queue,
    id: job.id,
    digest: digestOf(job.payload, headers),
    ...(maxAttempts === undefined ? {} : { maxAttempts }),
    ...(job.idWindow === undefined ? {} : { idWindow: job.idWindow }),
    ...(due === undefined ? {} : { due }),
    ...(ordered && due === undefined ? { order: job.queue } : {}),
  };
}

/** A delivery whose headers tell its token. */
function marked(delivery: Delivery): Delivery {
  if (delivery.meta === "") return delivery;
  const meta = readMeta(delivery.meta);
  return { ...delivery, meta: writeMeta({ ...meta, headers: { ...meta.headers, [TOKEN]: delivery.token } }) };
}

/** A settlement as the worker would have made it of an unmarked delivery. */
function clean(settlement: Settlement): Settlement {
  if (!("meta" in settlement)) return settlement;
  const { headers, ...meta } = readMeta(settlement.meta);
  const { [TOKEN]: _, ...own } = headers ?? {};
  return { ...settlement, meta: writeMeta(Object.keys(own).length === 0 ? meta : { ...meta, headers: own }) };
}

/** Stands for payload and headers: FNV-1a. */
export function digestOf(payload: Uint8Array, headers: Readonly<Record<string, string>>): string {
  const { [TOKEN]: _, ...own } = headers;
  let hash = 0x811c9dc5;
  for (const bytes of [payload, new TextEncoder().encode(JSON.stringify(own))]) {
    for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  }
  return hash.toString(36);
}

/** The history in what was written: of each call what is known last, in the place where it began. */
export function historyOf(written: readonly Written[]): readonly HistoryLine[] {
  const lines: HistoryLine[] = [];
  const places = new Map<string, number>();
  for (const line of written) {
    if (line.op === "reserve") continue;
    const { call, ...plain } = line;
    const key = call === undefined ? undefined : `${line.process} ${call}`;
    const place = key === undefined ? undefined : places.get(key);
    if (place !== undefined) {
      lines[place] = plain as HistoryLine;
      continue;
    }
    if (key !== undefined) places.set(key, lines.length);
    lines.push(plain as HistoryLine);
  }
  return lines;
}
