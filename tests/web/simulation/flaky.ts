/**
 * A transport that is far away: calls are refused, answered late, carried out late, or carried out while their answer
 * is lost. Which of it happens to which call is drawn from a die.
 */
import { DeadlineExceeded, TransportBusy, TransportClosed } from "../../../src/errors.ts";
import type { Call, Delivery } from "../../../src/jobs/exchange.ts";
import type { Runtime } from "../../../src/runtime.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { around } from "../mutants/mutants.ts";

export interface Weather {
  /** The part of calls that something happens to, from 0 to 1. */
  trouble: number;
  /** Nothing goes through. */
  out: boolean;
}

/** A process's own way to the transport. */
export interface Cable {
  readonly transport: Transport;
  /** Nothing of this process goes through. */
  out: boolean;
  /** The process is gone: what it sent may still arrive, and it hears nothing any more. */
  cut(): void;
}

/** Milliseconds by which a call or an answer may be late. */
const LATE = 300;

type Trouble = "refused" | "slow" | "late" | "lost" | "hangs";
const TROUBLES: readonly Trouble[] = ["refused", "slow", "late", "lost", "hangs"];

export function createCable(
  inner: Transport,
  runtime: Runtime,
  random: () => number,
  weather: Weather,
): Cable {
  let gone = false;

  function trouble(): Trouble | undefined {
    if (weather.out || cable.out) return "refused";
    return random() < weather.trouble ? TROUBLES[Math.floor(random() * TROUBLES.length)] : undefined;
  }

  /** Carries a call out; `undo` takes back what an answer that nobody hears has given. */
  async function pass<T>(call: Call, go: () => Promise<T>, undo?: (answer: T) => Promise<void>): Promise<T> {
    if (gone) throw new TransportClosed(inner.name);
    const kind = trouble();
    const pause = random() * LATE;
    const later = random() < 0.5;
    switch (kind) {
      case undefined:
        return await go();
      case "refused":
        await runtime.sleep(pause, call.signal);
        throw new TransportBusy("The simulated transport refuses the call");
      case "late":
        await runtime.sleep(pause, call.signal);
        return await go();
      case "slow":
      case "lost": {
        const answer = await go();
        try {
          await runtime.sleep(pause, call.signal);
        } catch (reason) {
          await undo?.(answer);
          throw reason;
        }
        if (kind === "slow") return answer;
        throw new Error("The answer of the simulated transport is lost");
      }
      case "hangs":
        if (later && undo === undefined) arrive(call.deadline + pause, go);
        await runtime.sleep(call.deadline, call.signal);
        throw new DeadlineExceeded("reach the simulated transport", call.deadline);
    }
  }

  /** What was sent arrives though its sender has given up. */
  function arrive(ms: number, go: () => Promise<unknown>): void {
    runtime.sleep(ms).then(go).catch(() => undefined);
  }

  /** What a process that is gone would have heard. */
  async function heard<T>(answer: Promise<T>): Promise<T> {
    const settled = await answer.then((value) => ({ value }), (reason: unknown) => ({ reason }));
    if (gone) throw new TransportClosed(inner.name);
    if ("reason" in settled) throw settled.reason;
    return settled.value;
  }

  const release = async (deliveries: readonly Delivery[]): Promise<void> => {
    if (deliveries.length === 0) return;
    await inner.settle(deliveries.map(({ queue, token }) => ({ queue, token, to: "release" })), {
      deadline: 1_000,
    });
  };
  const withoutSignal = ({ deadline }: Call): Call => ({ deadline });
  const cable: Cable = {
    out: false,
    cut: () => void (gone = true),
    transport: around(inner, {
      push: (jobs, { atomic = false, ...call }) =>
        heard(pass(call, () => inner.push(jobs, { ...withoutSignal(call), atomic }))),
      reserve: (queues, options) => heard(pass(options, () => inner.reserve(queues, options), release)),
      extend: (leases, call) => heard(pass(call, () => inner.extend(leases, withoutSignal(call)))),
      settle: (settlements, call) => heard(pass(call, () => inner.settle(settlements, withoutSignal(call)))),
    }),
  };
  return cable;
}
