/**
 * A fault of one item of a batch is answered for that item alone, as the items of a batch share no fate.
 *
 * @module
 */

import { errorOf, TooLargeError } from "../errors.ts";
import type { Extension, Held, PushJob, Settlement } from "../jobs/exchange.ts";
import { byteLength, checkId, checkQueueName, checkText } from "../names.ts";
import { checkObject, checkTime, checkWord, wrongType } from "../options.ts";
import type { Limits, Transport } from "../contract/transport.ts";
import { checkBytes, checkInstant, checkString } from "./checks.ts";

/** Whose limits count: a server tells its limits when it is first reached. */
type Limited = Pick<Transport, "limits">;

/** Finds the fault of an item. */
export type FaultOf<Item> = (item: Item) => Error | undefined;

const ENDINGS: readonly Settlement["to"][] = ["done", "release", "again", "failed", "timeout"];

/** Faults of jobs to be pushed; names that come one after another are read once. */
export function faultOfJob(of: Limited): FaultOf<PushJob> {
  const action = "push a job";
  const queueOf = repeated((queue: string) => checkQueueName(queue, action));
  const nameOf = repeated((name: string) => checkText("name of a job", name, action, of.limits.name));
  return guarding((job) => {
    checkObject(action, "a job", job);
    queueOf(job.queue);
    nameOf(job.name);
    checkId(job.id, action);
    checkBytes(action, "payload", job.payload);
    checkString(action, "meta", job.meta);
    checkSize(of.limits, job.payload.length, job.meta, job.id);
    if (job.idWindow !== undefined) checkTime(action, "idWindow", job.idWindow);
    checkWhen(action, job);
  });
}

/** Faults of leases to be extended. */
export function faultOfExtension(): FaultOf<Extension> {
  const action = "extend a lease";
  const heldOf = held(action);
  return guarding((lease) => {
    heldOf(lease);
    checkTime(action, "ms", lease.ms);
  });
}

/** Faults of settlements. */
export function faultOfSettlement(of: Limited): FaultOf<Settlement> {
  const action = "settle a job";
  const heldOf = held(action);
  return guarding((settlement) => {
    heldOf(settlement);
    switch (settlement.to) {
      case "done":
      case "release":
        return;
      case "again":
        return checkAgain(action, of.limits, settlement);
      case "failed":
      case "timeout":
        return checkDead(action, of.limits, settlement);
      default: {
        const { to }: { readonly to?: unknown } = settlement;
        checkWord(action, "to", to, ENDINGS);
      }
    }
  });
}

function checkAgain(action: string, limits: Limits, settlement: Extract<Settlement, { to: "again" }>): void {
  const { payload, meta } = settlement;
  checkString(action, "meta", meta);
  if (payload !== undefined) checkBytes(action, "payload", payload);
  checkSize(limits, payload?.length ?? 0, meta);
  checkWhen(action, settlement);
}

function checkDead(
  action: string,
  limits: Limits,
  { meta, reason, failure }: Extract<Settlement, { reason: string }>,
): void {
  checkString(action, "meta", meta);
  checkSize(limits, 0, meta);
  checkId(reason, action, "reason");
  if (failure === undefined || failure instanceof Error) return;
  throw wrongType(action, "'failure'", "an Error", failure);
}

/** Refuses a text that names no delivery; a token that no delivery has is only stale. */
function held(action: string): (item: Held) => void {
  const queueOf = repeated((queue: string) => checkQueueName(queue, action));
  return (item) => {
    checkObject(action, "an item", item);
    queueOf(item.queue);
    checkString(action, "token", item.token);
  };
}

/** Refuses a time that would put an order out of order. */
function checkWhen(
  action: string,
  { delay, at }: { readonly delay?: number | undefined; readonly at?: number | undefined },
): void {
  if (delay !== undefined) checkTime(action, "delay", delay);
  if (at !== undefined) checkInstant(action, "at", at);
}

/** Refuses payload and metadata that are together over the limit. */
function checkSize({ payload: most }: Limits, bytes: number, meta: string, id?: string): void {
  // A UTF-16 unit takes at most three bytes, so that most metadata need not be measured.
  if (bytes + 3 * meta.length <= most) return;
  const size = bytes + byteLength(meta);
  if (size > most) throw new TooLargeError(id === undefined ? "a job" : `job '${id}'`, size, most);
}

/** A check that passes over a value which it has just let pass. */
function repeated<Value>(check: (value: Value) => void): (value: Value) => void {
  let passed: Value | undefined;
  return (value) => {
    if (value === passed && value !== undefined) return;
    check(value);
    passed = value;
  };
}

function guarding<Item>(check: (item: Item) => void): FaultOf<Item> {
  return (item) => {
    try {
      check(item);
      return undefined;
    } catch (error) {
      return errorOf(error);
    }
  };
}
