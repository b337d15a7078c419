import { expect, test } from "vitest";
import { DeadlineExceeded, TransportClosed } from "../../../mod.ts";
import { createFakeRuntime, type FakeRuntime } from "../../../src/testing/mod.ts";
import { type Calls, createCalls, type Ticket } from "../../../src/store/calls.ts";

/** The error of a call that was sent and never answered. */
class Unanswered extends Error {}

interface Place {
  readonly runtime: FakeRuntime;
  readonly calls: Calls;
}

function place(): Place {
  const runtime = createFakeRuntime();
  return {
    runtime,
    calls: createCalls("store", runtime, (reason) => new Unanswered("lost", { cause: reason })),
  };
}

/** A call whose work ends by hand. */
function begun({ calls }: Place, deadline = 1_000, signal?: AbortSignal) {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let ticket: Ticket | undefined;
  let ends = 0;
  const answer = calls.run({ deadline, signal }, "ask", (given) => {
    ticket = given;
    given.whenOver(() => ends++);
    return promise;
  });
  answer.catch(() => undefined);
  if (ticket === undefined) throw new Error("the work must begin at once");
  return { answer, ticket, resolve, reject, ends: () => ends };
}

test("a call answers as its work does, and leaves no timer behind", async () => {
  const one = place();
  const good = begun(one);
  const bad = begun(one);
  good.resolve("yes");
  bad.reject(new Error("no"));
  expect(await good.answer).toBe("yes");
  await expect(bad.answer).rejects.toThrow("no");
  expect([good.ticket.over, good.ends(), bad.ticket.over, bad.ends()]).toEqual([true, 1, true, 1]);
  expect(one.runtime.sleepers).toBe(0);
});

test("a call that is over has left its signal", async () => {
  const one = place();
  let listeners = 0;
  const signal = Object.assign(new AbortController().signal, {
    addEventListener: () => void listeners++,
    removeEventListener: () => void listeners--,
  });
  const { answer, resolve } = begun(one, 1_000, signal);
  expect(listeners).toBe(1);
  resolve("done");
  await answer;
  expect(listeners).toBe(0);
});

test("a call ends at its deadline, and a late answer of its work is dropped", async () => {
  const one = place();
  const { answer, ticket, resolve, ends } = begun(one, 1_000);
  await one.runtime.advance(999);
  expect(ticket.over).toBe(false);
  await one.runtime.advance(1);
  await expect(answer).rejects.toThrow(DeadlineExceeded);
  resolve("too late");
  await one.runtime.settle();
  expect([ticket.over, ends()]).toEqual([true, 1]);
  expect(one.runtime.sleepers).toBe(0);
});

test("its work may say how a call that is late ends", async () => {
  const one = place();
  const { answer, ticket } = begun(one, 10);
  ticket.late = () => new Error("the server was busy");
  await one.runtime.advance(10);
  await expect(answer).rejects.toThrow("the server was busy");
});

test("a call ends by its signal with its reason; one that was aborted before does not begin", async () => {
  const one = place();
  const controller = new AbortController();
  const { answer, ends } = begun(one, 1_000, controller.signal);
  controller.abort(new Error("enough"));
  await expect(answer).rejects.toThrow("enough");
  expect(ends()).toBe(1);
  const work = (): never => {
    throw new Error("it began");
  };
  await expect(one.calls.run({ deadline: 10, signal: controller.signal }, "ask", work)).rejects.toThrow(
    "enough",
  );
  expect(one.runtime.sleepers).toBe(0);
});

test("a function that waits for the end can be taken back, and is called at once where the call is over", async () => {
  const one = place();
  const { answer, ticket, resolve } = begun(one);
  let called = 0;
  const back = ticket.whenOver(() => called++);
  back();
  resolve("done");
  await answer;
  expect(called).toBe(0);
  ticket.whenOver(() => called++);
  expect(called).toBe(1);
});

test("closing ends calls that were not sent, at once, and refuses new ones", async () => {
  const one = place();
  const { answer } = begun(one);
  const closing = one.calls.close();
  await expect(answer).rejects.toThrow(TransportClosed);
  await closing;
  expect(one.calls.closed).toBe(true);
  await expect(one.calls.run({ deadline: 10 }, "ask", () => Promise.resolve())).rejects.toThrow(
    TransportClosed,
  );
  expect(one.runtime.sleepers).toBe(0);
});

test("closing lets a call that was sent have its answer", async () => {
  const one = place();
  const { answer, ticket, resolve } = begun(one, 60_000);
  ticket.sent = true;
  const closing = one.calls.close();
  await one.runtime.advance(500);
  resolve("stored");
  expect(await answer).toBe("stored");
  await closing;
  expect(one.runtime.sleepers).toBe(0);
});

test("closing leaves unknown what was sent and is not answered within a second", async () => {
  const one = place();
  const { answer, ticket, ends } = begun(one, 60_000);
  ticket.sent = true;
  let closed = false;
  const closing = one.calls.close().then(() => void (closed = true));
  await one.runtime.advance(999);
  expect([ticket.over, closed]).toEqual([false, false]);
  await one.runtime.advance(1);
  await closing;
  const error: unknown = await answer.catch((reason) => reason);
  expect(error).toBeInstanceOf(Unanswered);
  expect(error).toMatchObject({ cause: expect.any(TransportClosed) });
  expect(ends()).toBe(1);
  expect(one.runtime.sleepers).toBe(0);
});
