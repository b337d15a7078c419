/** What every transport must do at the edge: a client for each invocation, and nothing left when it is over. */
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { Server } from "../../server/support/servers/server.ts";
import { type Answer, startWorker, type Worker } from "./serve.ts";

/** A transport at the edge. */
export interface Edge {
  /** What the worker is made of. */
  readonly modules: () => Promise<readonly { readonly name: string; readonly code: string }[]>;
  readonly flags: readonly string[];
  /** A server whose clients need a password. */
  readonly server: () => Promise<Server>;
  /** Where it is, for who has a password. */
  readonly url: (server: Server, password: string) => string;
  /** How many clients are connected to it. */
  readonly connections: (server: Server) => Promise<number>;
}

/** The password that the servers want, and one that they do not. */
export const RIGHT = "open-sesame";
const WRONG = "open-barley";

/** Milliseconds in which a call of a short deadline ends on a busy machine, too: long before the others would. */
const SOON = 20_000;
/** Milliseconds that bundling may take, beside other tests. */
const PATIENCE = 60_000;

/** Writes the cases. */
export function edgeCases({ modules, flags, server, url, connections }: Edge): void {
  let worker: Worker;
  let broker: Server;

  beforeAll(async () => {
    const [made, started] = await Promise.all([modules(), server()]);
    broker = started;
    const texts = { SERVER: url(broker, RIGHT), REFUSED: url(broker, WRONG) };
    worker = await startWorker({ modules: made, flags, texts });
  }, PATIENCE);
  afterAll(async () => {
    // What is thrown where nobody waits is told here alone.
    expect(await worker?.stop()).toBe("");
  });

  /** A server hears of the end of a connection a moment after the answer of the invocation has come. */
  async function noneLeft(): Promise<void> {
    await expect.poll(() => connections(broker)).toBe(0);
  }

  test("what one invocation dispatches another handles, and neither leaves a connection", async () => {
    expect(await ask(worker, "/?dispatch=a")).toEqual({ stored: "stored" });
    await noneLeft();
    expect(await ask(worker, "/?drain")).toEqual({ handled: [["a", 1]], completed: 1, retried: 0 });
    expect(await ask(worker, "/?drain")).toMatchObject({ handled: [] });
    await noneLeft();
  });

  test("a relay that is closed leaves no connection, though its invocation goes on", async () => {
    const { text, leave } = await worker.hold("/held?dispatch=held&drain");
    try {
      expect(JSON.parse(text)).toMatchObject({ handled: [["held", 1]] });
      await noneLeft();
    } finally {
      leave();
    }
  });

  test("one invocation dispatches and handles, and so does the next", async () => {
    for (const value of ["b", "c"]) {
      expect(await ask(worker, `/?dispatch=${value}&drain`)).toMatchObject({ handled: [[value, 1]] });
    }
    await noneLeft();
  });

  test("a run that failed in one invocation is repeated in a later one", async () => {
    expect(await ask(worker, "/?dispatch=d&drain=fails")).toMatchObject({ completed: 0, retried: 1 });
    await expect.poll(() => ask(worker, "/?drain")).toMatchObject({
      handled: [["d", 2]],
    });
    await noneLeft();
  });

  test("invocations at the same time each have a client, and no job is handled twice", async () => {
    const values = Array.from({ length: 10 }, (_, n) => `e${n}`);
    await Promise.all(values.map((value) => ask(worker, `/?dispatch=${value}`)));
    const drains = await Promise.all([1, 2, 3].map(() => ask(worker, "/?drain")));
    const handled = drains.flatMap((drain) => (drain as { readonly handled: readonly unknown[] }).handled);
    expect(handled.toSorted()).toEqual(values.map((value) => [value, 1]));
    await noneLeft();
  });

  test("a wrong password is told as that, and no connection is left", async () => {
    // Often enough for the server's words to be lost once, when it ends the connection right behind them.
    for (const path of Array(20).fill(["/refused?dispatch=f", "/refused?drain"]).flat()) {
      const { error } = await refused(worker, path);
      expect(error).toMatchObject({ code: "TRANSPORT_UNAVAILABLE", typed: true });
      expect(error.message).toMatch(/refuse/);
      expect(error.message).not.toContain(WRONG);
    }
    await noneLeft();
  });

  test("a server that is gone is told within the deadline, and used again when it is back", async () => {
    await broker.stop();
    onTestFinished(() => broker.start());
    for (const path of ["/?brief&dispatch=g", "/?brief&drain"]) {
      const { error, ms } = await refused(worker, path);
      expect(error).toMatchObject({ code: "TRANSPORT_UNAVAILABLE", typed: true });
      expect(ms).toBeLessThan(SOON);
    }
    await broker.start();
    expect(await ask(worker, "/?dispatch=h&drain")).toMatchObject({ handled: [["h", 1]] });
    await noneLeft();
  });

  test("a server that is silent is told within the deadline, and no connection is left", async () => {
    broker.pause();
    onTestFinished(() => broker.resume());
    for (const path of ["/?brief&dispatch=i", "/?brief&drain"]) {
      const { error, ms } = await refused(worker, path);
      expect(error).toMatchObject({ typed: true });
      expect(ms).toBeLessThan(SOON);
    }
    broker.resume();
    await noneLeft();
  });

  // Its client belongs to the invocation that opened it, and no other one hears what the server answers.
  test("a relay that is kept for another invocation does not make that one hang", async () => {
    expect(await ask(worker, "/shared?dispatch=j")).toEqual({ stored: "stored" });
    const { error, ms } = await refused(worker, "/shared?dispatch=k");
    expect(error).toMatchObject({ code: "OUTCOME_UNKNOWN", typed: true });
    expect(ms).toBeLessThan(SOON);
  });
}

/** What a request was answered, and after how many milliseconds. */
interface Refusal {
  readonly error: { readonly message: string; readonly code: string; readonly typed: boolean };
  readonly ms: number;
}

async function ask(worker: Worker, path: string): Promise<unknown> {
  const { status, text }: Answer = await worker.get(path.replace("/?", "/own?"));
  if (status !== 200) throw new Error(`${path}: ${text}`);
  return JSON.parse(text);
}

async function refused(worker: Worker, path: string): Promise<Refusal> {
  const began = performance.now();
  const { status, text } = await worker.get(path.replace("/?", "/own?"));
  expect(status, text).toBe(500);
  return { error: JSON.parse(text), ms: performance.now() - began };
}
