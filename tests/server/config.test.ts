/** Relays by configuration: F160 to F163, W68. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { inspect } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { memory, type Transport } from "../../mod.ts";
import { type Config, ConfigError, GAUGE_INTERVAL, relays } from "../../src/config/mod.ts";
import { free, rejection, thrown } from "../web/support/kit.ts";

const jobs = { job: free<string>(), placed: { schema: free<string>(), queue: "billing" } };

function file(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "relevo-config-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "relevo.json");
  writeFileSync(path, text);
  return path;
}

/** A port of this machine that says the same to each that connects. */
async function greeting(words: string): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.end(words);
  });
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The server has no port");
  return address.port;
}

function named(name: string): Transport {
  return memory({ name });
}

const TWO = JSON.stringify({
  queue: {
    default: { url: "memory:", concurrency: 3, gauge: 15_000 },
    mail: { url: "memory:", concurrency: 1 },
  },
});

test("F160, W68: each entry's values take effect for its own queue, from a path and from a URL", async () => {
  expect(GAUGE_INTERVAL).toBe(15_000);
  const path = file(TWO);
  for (const config of [path, pathToFileURL(path)]) {
    const all = relays({ jobs, config });
    onTestFinished(() => all.close());
    expect(await all.names()).toEqual(["default", "mail"]);
    expect(await all.settings("mail")).toEqual({ url: "memory:", concurrency: 1 });
    const stop = new AbortController();
    const most: Record<string, number> = {};
    let left = 8;
    for (const name of ["default", "mail"]) {
      const relay = await all.get(name);
      let now = 0;
      relay.handle("job", async () => {
        most[name] = Math.max(most[name] ?? 0, ++now);
        // Long enough for all that may run beside it to have begun.
        for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
        now--;
        if (--left === 0) stop.abort();
      });
      for (let n = 0; n < 4; n++) await relay.dispatch("job", "x");
      expect((await relay.info(name)).waiting).toBe(4);
    }
    await all.run({ signal: stop.signal });
    expect(most).toEqual({ default: 3, mail: 1 });
  }
});

test("F161: a relay is built once, also when it is asked for at once, and default is there without an entry", async () => {
  let made = 0;
  const all = relays({
    jobs,
    config: { queue: { mail: {} } },
    transportFor: async (name) => {
      made++;
      await Promise.resolve();
      return named(name);
    },
  });
  onTestFinished(() => all.close());
  const [one, two] = await Promise.all([all.get("mail"), all.get("mail")]);
  expect(one).toBe(two);
  expect(await all.get("mail")).toBe(one);
  expect(made).toBe(1);
  expect((await all.get("default")).transport.name).toBe("default");
  expect((await rejection(all.get("other"))).message).toBe("queue configuration other not found");
  expect((await rejection(all.settings("other"))).message).toBe("queue configuration other not found");
});

test("F161: a relay whose transport could not be made is made when it is asked for again", async () => {
  let away = true;
  const transportFor = (name: string): Transport => {
    if (away) throw new Error("away");
    return named(name);
  };
  const all = relays({ jobs, transportFor });
  onTestFinished(() => all.close());
  expect((await rejection(all.get("default"))).message).toBe("away");
  away = false;
  expect((await all.get("default")).transport.name).toBe("default");
});

test("F162: a transport given wins, then transportFor with the name, then the entry's url", async () => {
  const config: Config = { queue: { mail: { url: "memory:?name=by-url" } } };
  const given = named("given");
  const first = relays({ jobs, config, transport: given, transportFor: named });
  const second = relays({ jobs, config, transportFor: named });
  const third = relays({ jobs, config: { queue: { mail: { url: "sqlite::memory:" } } } });
  for (const all of [first, second, third]) onTestFinished(() => all.close());
  expect((await first.get("mail")).transport).toBe(given);
  expect((await second.get("mail")).transport.name).toBe("mail");
  expect((await third.get("mail")).transport.name).toBe("sqlite");
});

test("F162: without any of them it is Redis, where REDIS_ADDR says", async () => {
  // What answers there is heard at once, where a port that nothing listens on is tried until the deadline.
  const port = await greeting("INFO {}\r\n");
  const before = process.env.REDIS_ADDR;
  process.env.REDIS_ADDR = `127.0.0.1:${port}`;
  onTestFinished(() => {
    if (before === undefined) delete process.env.REDIS_ADDR;
    else process.env.REDIS_ADDR = before;
  });
  const all = relays({ jobs });
  const error = await rejection(all.get("default"));
  expect(error.message).toContain("Cannot use redis as this port speaks NATS, not Redis");
  await all.close();
}, 120_000);

test("F163: every configured queue is consumed while the application runs, one that is asked for meanwhile too", async () => {
  const all = relays({ jobs, config: { queue: { a: {}, b: {} } }, transportFor: named });
  onTestFinished(() => all.close());
  const stop = new AbortController();
  const seen: string[] = [];
  const handled = Promise.withResolvers<void>();
  const listen = async (name: string): Promise<void> => {
    const relay = await all.get(name);
    relay.handle("job", (_, { job }) => {
      seen.push(`${name} ${job.queue}`);
      if (seen.length === 4) handled.resolve();
    });
    relay.handle("placed", (_, { job }) => {
      seen.push(`${name} ${job.queue}`);
      if (seen.length === 4) handled.resolve();
    });
    await relay.dispatch("job", "x");
  };
  await listen("a");
  await listen("b");
  await (await all.get("a")).dispatch("placed", "x");
  const running = all.run({ signal: stop.signal });
  expect((await rejection(all.run())).message).toBe("Cannot run relays that are running already");
  await listen("default");
  await handled.promise;
  stop.abort();
  await running;
  expect(seen.toSorted()).toEqual(["a a", "a billing", "b b", "default default"]);
  const relay = await all.get("a");
  await relay.dispatch("job", "x");
  expect((await relay.info("a")).waiting).toBe(1);
});

test("a worker that fails stops the others, and run rejects with its error", async () => {
  const all = relays({ jobs, config: { queue: { a: {}, b: { poll: 1_000 } } }, transportFor: named });
  onTestFinished(() => all.close());
  const relay = await all.get("a");
  (await all.get("b")).handle("job", () => undefined);
  relay.handle("job", () => undefined);
  const running = rejection(all.run());
  await relay.transport[Symbol.asyncDispose]();
  expect(await running).toMatchObject({ code: "TRANSPORT_CLOSED" });
});

test("a run of relays ends when they are closed, also by a handler of theirs, and none is built any more", async () => {
  const all = relays({ jobs, config: file(TWO) });
  const mail = await all.get("mail");
  mail.handle("job", () => all.close());
  await mail.dispatch("job", "last");
  await all.run();
  await all.close();
  for (const call of [() => all.get("mail"), () => all.get("default"), () => all.run()]) {
    expect(await rejection(call())).toMatchObject({ code: "RELAY_CLOSED" });
  }
  expect(await rejection(all.close({ grace: -1 }))).toBeInstanceOf(RangeError);
});

test("relays whose handler goes on are closed within the grace that is given", async () => {
  const all = relays({ jobs, config: file(TWO) });
  const mail = await all.get("mail");
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  mail.handle("job", (_, { signal }) => {
    begin();
    return new Promise((resolve) => signal.addEventListener("abort", () => resolve(undefined)));
  });
  await mail.dispatch("job", "long");
  const run = all.run();
  await begun;
  await all.close({ grace: 0 });
  await run;
});

test("a transport that does not come holds up neither the end of a run nor the close of its relays, and is closed when it comes", async () => {
  const { promise, resolve } = Promise.withResolvers<Transport>();
  const all = relays({ jobs, config: file(TWO), transportFor: () => promise });
  const stop = new AbortController();
  const run = all.run({ signal: stop.signal });
  const got = rejection(all.get("mail"));
  stop.abort();
  await run;
  await all.close();
  expect(await got).toMatchObject({ code: "RELAY_CLOSED" });
  const transport = memory();
  const { promise: closed, resolve: close } = Promise.withResolvers<void>();
  resolve({ ...transport, [Symbol.asyncDispose]: async () => close(await transport[Symbol.asyncDispose]()) });
  await closed;
});

test.each<[string, string, readonly string[]]>([
  ["is no JSON", "{", ["it is no JSON"]],
  ["has no queues, behind the mark of its byte order", "\uFEFF{}", ["queue: is missing"]],
  ["has no queues", "{}", ["queue: is missing"]],
  [
    "has a wrong policy",
    `{"queue":{"a":{"backoff":{"type":"slow","base":-1,"max":1,"jitter":2}}}}`,
    [
      "queue.a.backoff.type: must be one of 'exponential', 'fixed', 'linear', 'jittered': current value is \"slow\"",
      "queue.a.backoff.base: must be milliseconds from 0: current value is -1",
      "queue.a.backoff.jitter: must be a number from 0 to 1: current value is 2",
    ],
  ],
  ["has unknown keys", `{"queue":{"a":{"parallelism":3}},"more":1}`, [
    "queue.a.parallelism: there is no such option: there are url, concurrency, poll, backoff, maxRetry, gauge",
    "more: there is no such option: there are queue",
  ]],
  [
    "has wrong types",
    `{"queue":{"a":{"concurrency":"3","poll":0},"b":{"url":7,"maxRetry":1.5,"gauge":-1,"backoff":"x"}}}`,
    [
      'queue.a.concurrency: must be a whole number from 1: current value is "3"',
      "queue.a.poll: must be milliseconds from 1: current value is 0",
      "queue.b.url: must be a URL that 'connect' takes: current value is 7",
      "queue.b.maxRetry: must be a whole number from 1: current value is 1.5",
      "queue.b.gauge: must be milliseconds from 1: current value is -1",
      'queue.b.backoff: must be milliseconds from 0, or an object of type, base, max and jitter: current value is "x"',
    ],
  ],
  ["has a queue twice", `{"queue":{"a":{"poll":5},"b":{},"a":{}}}`, ["queue.a: is there twice"]],
  ["has a key twice", `{"queue":{"a":{"poll":5,"poll":6}}}`, ["queue.a.poll: is there twice"]],
  ["names what no queue can be called", `{"queue":{"a@b":{}}}`, ["queue.a@b"]],
  ["is a list", `[]`, ["the configuration: must be an object: current value is a list of 0"]],
  ["has a list of queues", `{"queue":[]}`, ["queue: must be an object of entries by their names"]],
  ["has a list for a queue", `{"queue":{"a":[]}}`, [
    "queue.a: must be an object: current value is a list of 0",
  ]],
  [
    "has numbers that no worker takes",
    `{"queue":{"a":{"concurrency":100001,"poll":1e300,"maxRetry":1e300,"gauge":1e300,"backoff":1e300}}}`,
    [
      "queue.a.concurrency: must be at most 100000: current value is 100001",
      "queue.a.poll: must be milliseconds up to a century: current value is 1e+300",
      "queue.a.maxRetry: must be a whole number from 1: current value is 1e+300",
      "queue.a.gauge: must be milliseconds up to a century: current value is 1e+300",
      "queue.a.backoff: must be milliseconds up to a century: current value is 1e+300",
    ],
  ],
  [
    "has a policy whose longest delay is below its first",
    `{"queue":{"a":{"backoff":{"type":"fixed","base":5,"max":1,"jitter":0}}}}`,
    ["queue.a.backoff: must have a 'max' that is not below its 'base'"],
  ],
])("a file that %s is refused with every fault and its path", async (_, text, faults) => {
  const all = relays({ jobs, config: file(text) });
  const error = await rejection(all.get("default"));
  expect(error).toBeInstanceOf(ConfigError);
  for (const fault of faults) expect(error.message).toContain(fault);
  expect((error as ConfigError).faults).toHaveLength(faults.length);
});

test.each([
  ["a text", "redis://user:s3cret@host"],
  ["a configuration with a slip", `{"queue":{"a":{"url":"redis://user:s3cret@host" x}}}`],
  ["a word", "s3cret"],
])("%s that is no JSON is refused without a part of it, as that may be a password", async (_, text) => {
  const error = await rejection(relays({ jobs, config: file(text) }).get("default"));
  expect(error).toBeInstanceOf(ConfigError);
  expect(error.message).toContain("it is no JSON");
  expect(inspect(error, { depth: 9 })).not.toContain("s3cret");
});

test("a file that is not there, and options that are none, are refused", async () => {
  const all = relays({ jobs, config: "/nowhere/relevo.json" });
  expect((await rejection(all.get("default"))).message).toContain("/nowhere/relevo.json");
  expect((await rejection(relays({ jobs, config: null as never }).names())).message).toContain(
    "the configuration: must be an object: current value is null",
  );
  const wrong = { jobs, transportFor: "redis" } as unknown as Parameters<typeof relays>[0];
  expect(thrown(() => relays(wrong)).message).toContain("'transportFor' must be a function");
  expect(thrown(() => relays({ jobs: 1 as never })).message).toBe(
    "Cannot make relays as 'jobs' must be an object: current value is 1",
  );
});

test("a text that looks like a doubled key is none", async () => {
  const text = String.raw`{"queue":{"a":{"url":"memory:?name=\"queue\":{"},"b":{"url":"memory:"}}}`;
  const all = relays({ jobs, config: file(text) });
  expect(await all.names()).toEqual(["a", "b", "default"]);
});
