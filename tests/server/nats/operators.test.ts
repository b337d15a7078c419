/** Streams and consumers that an operator made: used as they are, or refused with what is wrong with them. */
import { expect, test } from "vitest";
import { job } from "../../../src/testing/conformance/lab.ts";
import { nats, type NatsOptions } from "../../../src/transports/nats/mod.ts";
import { becomes } from "../support/becomes.ts";
import { type NatsServer, startNats } from "../support/servers/nats.ts";
import type { RawNats } from "../support/servers/nats_client.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { makeStream, sleepyRuntime } from "./support.ts";

const CALL = { deadline: 60_000 };
const TAKE = { limit: 1, slots: 1, lease: 10_000, wait: 0, ...CALL };
const QUEUE = "work";
const SECOND = 1_000_000_000;
const WINDOW = 300 * SECOND;

interface Ground extends AsyncDisposable {
  readonly raw: RawNats;
  readonly prefix: string;
  readonly stream: string;
}

async function groundOn(server: NatsServer): Promise<Ground> {
  const prefix = `op-${crypto.randomUUID()}`;
  const raw = await server.raw();
  return {
    raw,
    prefix,
    stream: `${prefix}_${QUEUE}`,
    [Symbol.asyncDispose]: () => raw[Symbol.asyncDispose](),
  };
}

/** Makes the consumer of a line that is what a queue needs but for some settings. */
async function makeConsumer(
  { raw, prefix, stream }: Ground,
  settings: object,
  name = "relevo",
): Promise<void> {
  const config = {
    durable_name: name,
    ...("filter_subject" in settings
      ? {}
      : { filter_subjects: [`${prefix}.${QUEUE}.j.w.>`, `${prefix}.${QUEUE}.in.>`] }),
    ack_policy: "explicit",
    ack_wait: 30 * SECOND,
    max_ack_pending: -1,
    ...settings,
  };
  const body = JSON.stringify({ stream_name: stream, config });
  const made = JSON.parse(await raw.request(`$JS.API.CONSUMER.DURABLE.CREATE.${stream}.${name}`, body));
  expect(made["error"]).toBeUndefined();
}

const STREAMS: Readonly<Record<string, readonly [settings: object, message: string]>> = {
  "another retention": [{ retention: "limits" }, "its retention must be 'workqueue'"],
  "other subjects": [{ subjects: ["elsewhere.>"] }, "its subjects must include"],
  "no direct gets": [{ allow_direct: false }, "it must allow direct gets"],
  "no acknowledgements": [{ no_ack: true }, "it must acknowledge what it stores"],
  "no deletes": [{ deny_delete: true }, "it must allow messages to be deleted"],
  "a maximum age": [{ max_age: 3_600 * SECOND }, "it must have no maximum age"],
  "a limit for each subject": [{ max_msgs_per_subject: 1 }, "no limit of messages per subject"],
  "a limit of messages": [{ max_msgs: 1_000 }, "no limit of messages"],
  "a limit of bytes": [{ max_bytes: 1_000_000 }, "set the option 'maxBytes' instead"],
  "no schedules": [{ allow_msg_schedules: false }, "it must allow messages with a schedule"],
  "no batches": [{ allow_atomic: false }, "it must allow atomic batches"],
  "a short memory of ids": [
    { duplicate_window: 10 * SECOND },
    "its duplicate window must be at least 300000",
  ],
  "another queue": [{ description: `Relevo queue "other"` }, "it belongs to queue 'other'"],
};

const CONSUMERS: Readonly<Record<string, readonly [settings: object, message: string, name?: string]>> = {
  "other subjects": [{ filter_subject: undefined }, "its subjects must be"],
  "few jobs at a time": [{ max_ack_pending: 10 }, "'max_ack_pending' must be -1"],
  "jobs as slow as they came": [{ replay_policy: "original" }, "its replay policy must be 'instant'"],
  "headers only": [{ headers_only: true }, "it must hand over whole messages"],
  "small batches": [{ max_batch: 5 }, "it must not limit what is asked of it"],
  "short waits": [{ max_expires: SECOND }, "it must not limit what is asked of it"],
  "jobs handed over only so often": [
    { max_deliver: 3 },
    "its 'max_deliver' must be -1, as the server would give jobs up: current value is 3. Set it to -1",
  ],
};

describeOn(["nats"], `An operator's on NATS`, () => {
  const start = owned(() => startNats());

  async function refusal(ground: Ground): Promise<void> {
    const server = await start();
    await using transport = nats({ servers: server.url, prefix: ground.prefix, warn: () => {} });
    const before = await ground.raw.request(`$JS.API.STREAM.INFO.${ground.stream}`);
    const [pushed] = await transport.push([job({ id: "1", queue: QUEUE })], CALL);
    expect(pushed).toMatchObject({ code: "TRANSPORT_INCOMPATIBLE" });
    await expect(transport.reserve([QUEUE], { ...TAKE, wait: 1 })).rejects.toBeInstanceOf(Error);
    const after = await ground.raw.request(`$JS.API.STREAM.INFO.${ground.stream}`);
    expect(JSON.parse(after).config).toEqual(JSON.parse(before).config);
    throw pushed;
  }

  for (const [what, [settings, message]] of Object.entries(STREAMS)) {
    test.concurrent(`stream with ${what} is refused, and told why`, async () => {
      await using ground = await groundOn(await start());
      await makeStream(await start(), ground.prefix, QUEUE, { duplicate_window: WINDOW, ...settings });
      await expect(refusal(ground)).rejects.toThrow(message);
    });
  }

  for (const [what, [settings, message, consumer]] of Object.entries(CONSUMERS)) {
    test.concurrent(`consumer with ${what} is refused, and told why`, async () => {
      await using ground = await groundOn(await start());
      await makeStream(await start(), ground.prefix, QUEUE, { duplicate_window: WINDOW });
      await makeConsumer(ground, settings, consumer);
      await expect(refusal(ground)).rejects.toThrow(message);
    });
  }

  /** What is told of a stream by a transport with some options, which works with it. */
  async function told(ground: Ground, options: Partial<NatsOptions>): Promise<readonly string[]> {
    const server = await start();
    const said: string[] = [];
    const warn = (message: string): void => void said.push(message);
    await using transport = nats({ servers: server.url, prefix: ground.prefix, warn, ...options });
    expect(await transport.push([job({ queue: QUEUE })], CALL)).toEqual(["stored"]);
    const [held] = await transport.reserve([QUEUE], TAKE);
    if (held === undefined) throw new Error("Wanted a delivery");
    const { queue, token } = held;
    expect(await transport.settle([{ queue, token, to: "done" }], CALL)).toEqual(["settled"]);
    return said;
  }

  test.concurrent("stream that is not as the options ask is used as it is, and told once", async () => {
    await using ground = await groundOn(await start());
    const { raw, stream } = ground;
    await makeStream(await start(), ground.prefix, QUEUE, {
      duplicate_window: WINDOW,
      storage: "memory",
    });
    await makeConsumer(ground, { ack_wait: 20 * SECOND });
    const { config } = JSON.parse(await raw.request(`$JS.API.STREAM.INFO.${stream}`));
    expect(await told(ground, { replicas: 3, ackWait: 25_000 })).toEqual([
      `Stream '${stream}' is used as it is: it has 1 replicas, and not 3, its storage is 'memory', which loses ` +
      "jobs with the server, and not 'file', its consumers have an ack wait of 20000 ms, and not 25000",
    ]);
    expect(await told(ground, { replicas: 1, storage: "memory" })).toEqual([]);
    expect(JSON.parse(await raw.request(`$JS.API.STREAM.INFO.${stream}`)).config).toEqual(config);
  });

  test.concurrent("stream of which nothing was asked is used in silence", async () => {
    await using ground = await groundOn(await start());
    await makeStream(await start(), ground.prefix, QUEUE, {
      duplicate_window: WINDOW,
      compression: "none",
    });
    await makeConsumer(ground, { ack_wait: 20 * SECOND });
    expect(await told(ground, {})).toEqual([]);
  });

  test.concurrent("stream in memory is made where that is asked for, and is not durable", async () => {
    const server = await start();
    await using ground = await groundOn(server);
    expect(await told(ground, { storage: "memory" })).toEqual([]);
    const { config } = JSON.parse(await ground.raw.request(`$JS.API.STREAM.INFO.${ground.stream}`));
    expect(config.storage).toBe("memory");
    await using brief = nats({ servers: server.url, prefix: ground.prefix, storage: "memory" });
    await using lasting = nats({ servers: server.url, prefix: ground.prefix });
    expect([brief.features.durable, lasting.features.durable]).toEqual([false, true]);
  });

  test.concurrent("change of a consumer is told to a process that has used it, until it is undone", async () => {
    const server = await start();
    await using ground = await groundOn(server);
    const { raw, prefix, stream } = ground;
    const runtime = sleepyRuntime();
    await using transport = nats({ servers: server.url, prefix, runtime, warn: () => {} });
    await transport.push([job({ queue: QUEUE })], CALL);
    expect(await transport.reserve([QUEUE], TAKE)).toHaveLength(1);
    const change = async (settings: object): Promise<void> => {
      const { config } = JSON.parse(await raw.request(`$JS.API.CONSUMER.INFO.${stream}.relevo`));
      const body = JSON.stringify({ stream_name: stream, config: { ...config, ...settings } });
      const made = JSON.parse(await raw.request(`$JS.API.CONSUMER.DURABLE.CREATE.${stream}.relevo`, body));
      expect(made["error"]).toBeUndefined();
    };
    const told = (): Promise<string> => transport.reserve([QUEUE], TAKE).then(() => "", String);
    await change({ max_deliver: 3 });
    runtime.sleepThrough(150_000);
    await becomes("it is told", async () => /'max_deliver' must be -1/.test(await told()));
    await change({ max_deliver: -1 });
    await becomes("it works again", async () => await told() === "");
  });
});
