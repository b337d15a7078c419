/** Counts of jobs of which a consumer has not heard yet: the server tells it of one behind the answer to the publisher. */
import { connect } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { job } from "../../../src/testing/conformance/lab.ts";
import { nats, type NatsConnection } from "../../../src/transports/nats/mod.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";

const CALL = { deadline: 60_000 };
const QUEUE = "work";
const TAKE = { limit: 1, slots: 1, lease: 60_000, wait: 0, ...CALL };
/** Milliseconds behind a push in which a consumer of the test has not heard. */
const DEAF = 15;

/** The server's word of a consumer. */
interface Told {
  readonly type: string;
  readonly name: string;
  readonly num_pending: number;
}

type Answer = (error: Error | null, message: { readonly data: Uint8Array; json(): unknown }) => void;

describeOn(["nats"], "What a consumer of NATS has not heard of", () => {
  const start = owned(() => startNats());

  /**
   * A connection on which what the server says of its consumers is told as `change` has it, and messages go to the
   * subjects of `route`.
   */
  async function hearing(
    url: string,
    change: (told: Told) => number,
    route: (subject: string) => string = (subject) => subject,
  ) {
    const real = await connect({ servers: url.replace("nats://", "") });
    const encoder = new TextEncoder();
    const changed = (answer: Answer): Answer => (error, message) => {
      if (error !== null || !new TextDecoder().decode(message.data).includes("consumer_info_response")) {
        return answer(error, message);
      }
      const told = message.json() as Told;
      const data = encoder.encode(JSON.stringify({ ...told, num_pending: change(told) }));
      const get = (target: typeof message, key: string | symbol): unknown => {
        if (key === "data") return data;
        const value: unknown = Reflect.get(target, key);
        return typeof value === "function" ? value.bind(target) : value;
      };
      answer(error, new Proxy(message, { get }));
    };
    const connection = new Proxy(real, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key);
        if (key === "publish") {
          return (...[subject, ...rest]: Parameters<typeof real.publish>) =>
            target.publish(route(subject), ...rest);
        }
        if (key !== "subscribe") return typeof value === "function" ? value.bind(target) : value;
        return (subject: string, options: { readonly callback: Answer }) =>
          target.subscribe(subject, { ...options, callback: changed(options.callback) });
      },
    });
    return { connection: connection as NatsConnection, close: () => real.close() };
  }

  test("a count of none is asked for again while the stream has a job", async () => {
    const { url } = await start();
    const deaf = new Set<string>();
    const { connection, close } = await hearing(url, ({ name, num_pending }) => {
      if (deaf.has(name) || num_pending === 0) return num_pending;
      deaf.add(name);
      return 0;
    });
    await using near = nats({ servers: url, prefix: "none" });
    await using far = nats({ connection, prefix: "none" });
    await near.push([job({ queue: QUEUE, id: "dead" })], CALL);
    const [held] = await near.reserve([QUEUE], TAKE);
    const token = held?.token ?? "";
    await near.settle([{ queue: QUEUE, token, to: "failed", meta: "m", reason: "r" }], CALL);
    await near.push([job({ queue: QUEUE }), job({ queue: QUEUE, delay: 600_000 })], CALL);
    // The consumers that count are made when they are first asked, and know all then.
    await near.info(QUEUE, CALL);
    expect(await far.info(QUEUE, CALL)).toMatchObject({ waiting: 1, delayed: 1, reserved: 0, failed: 1 });
    expect(deaf.size).toBe(3);
    await close();
  });

  test("a process that has stored jobs counts them all", async () => {
    const { url } = await start();
    let stored = -Infinity;
    const { connection, close } = await hearing(
      url,
      ({ num_pending }) => performance.now() < stored + DEAF ? Math.max(0, num_pending - 1) : num_pending,
    );
    await using transport = nats({ connection, prefix: "own" });
    for (const waiting of [1, 2, 3]) {
      stored = performance.now();
      await transport.push([job({ queue: QUEUE })], CALL);
      expect(await transport.info(QUEUE, CALL)).toMatchObject({ waiting });
    }
    await transport.topics?.bind("orders", "a", CALL);
    await transport.topics?.bind("orders", "b", CALL);
    for (const waiting of [1, 2]) {
      stored = performance.now();
      await transport.push([job({ queue: "orders@" })], CALL);
      expect(await transport.info("orders@b", CALL)).toMatchObject({ waiting });
    }
    await close();
  });

  test("a job that was just pushed, or given back, comes to a call that does not wait", async () => {
    const { url } = await start();
    let deaf = 0;
    let empty: string | undefined;
    const { connection, close } = await hearing(
      url,
      ({ num_pending }) => deaf > 0 ? 0 : num_pending,
      (subject) => {
        if (!subject.includes("CONSUMER.MSG.NEXT.")) return subject;
        empty ??= subject;
        // The consumer of a queue without jobs answers as one that has not heard of any.
        return deaf > 0 && deaf-- > 0 ? empty : subject;
      },
    );
    await using transport = nats({ connection, prefix: "come" });
    await transport.push([job({ queue: "empty" })], CALL);
    const [first] = await transport.reserve(["empty"], TAKE);
    await transport.settle([{ queue: "empty", token: first?.token ?? "", to: "done" }], CALL);
    await transport.push([job({ queue: QUEUE, id: "x" })], CALL);
    for (const polls of [4, 5, 6, 7, 8]) {
      deaf = polls;
      const [held] = await transport.reserve([QUEUE], TAKE);
      expect([held?.id, held?.lost]).toEqual(["x", 0]);
      await transport.settle([{ queue: QUEUE, token: held?.token ?? "", to: "release" }], CALL);
    }
    await close();
  });
});
