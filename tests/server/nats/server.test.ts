/** Servers that refuse, limits that are reached, streams that stand in the way: a typed error each, and no lost job. */
import { createServer, type Socket } from "node:net";
import { connect as connectCore, nkeyAuthenticator, nkeys } from "@nats-io/transport-node";
import { describe, expect, test } from "vitest";
import { createRelay } from "../../../mod.ts";
import { connect } from "../../../src/connect.ts";
import { job } from "../../../src/testing/conformance/lab.ts";
import { nats, type NatsOptions } from "../../../src/transports/nats/mod.ts";
import { type NatsServer, startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { lettersIn } from "./support.ts";

const CALL = { deadline: 60_000 };
const PATIENCE = 120_000;

const REFUSED = {
  code: "TRANSPORT_UNAVAILABLE",
  message: "Cannot connect to NATS as the server refused the credentials",
};
const TOO_OLD = {
  code: "TRANSPORT_INCOMPATIBLE",
  message: "Cannot use NATS as the server must be 2.12 or later: current version is 2.11.9",
};

async function reasonOf(
  promise: Promise<unknown>,
): Promise<{ readonly code?: unknown; readonly message: string }> {
  return await promise.then(
    () => ({ message: "none" }),
    (error: { code?: unknown; message: string }) => error,
  );
}

async function withServer(
  options: Parameters<typeof startNats>[0],
  check: (server: NatsServer) => Promise<void>,
): Promise<void> {
  const server = await startNats(options);
  try {
    await check(server);
  } finally {
    await server[Symbol.asyncDispose]();
  }
}

interface OldServer extends AsyncDisposable {
  readonly url: string;
  /** Connections that are open, and all that there were. */
  connections(): readonly [open: number, all: number];
}

/** As much of an old server as is asked before it is refused; a real one cannot be had here. */
async function oldServer(version: string): Promise<OldServer> {
  const sockets = new Set<Socket>();
  let all = 0;
  const info = JSON.stringify({ server_id: "old", version, proto: 1, headers: true, max_payload: 1_000_000 });
  const server = createServer((socket) => {
    all++;
    sockets.add(socket);
    socket.write(`INFO ${info}\r\n`);
    socket.on("data", (data) => {
      if (data.includes("PING")) socket.write("PONG\r\n");
    });
    // A broken end is seen by its closing.
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The server has no port");
  return {
    url: `nats://127.0.0.1:${address.port}`,
    connections: () => [sockets.size, all],
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

async function made(server: NatsServer, stream: string, config: object): Promise<void> {
  const client = await server.raw();
  const answer = await client.request(
    `$JS.API.STREAM.CREATE.${stream}`,
    JSON.stringify({ name: stream, ...config }),
  );
  expect(JSON.parse(answer).error).toBeUndefined();
  await client[Symbol.asyncDispose]();
}

describeOn(["nats"], "A server of NATS that refuses", () => {
  test("a wrong password is a typed error that says so and repeats none of it", async () => {
    await withServer({
      config: "authorization { user: u, password: right }",
      auth: { user: "u", pass: "right" },
    }, async (server) => {
      const url = server.url.replace("nats://", "nats://u:wr0ng@");
      const reason = await reasonOf(connect(url, CALL));
      expect(reason.code).toBe("TRANSPORT_UNAVAILABLE");
      expect(reason.message).toContain("credentials");
      expect(JSON.stringify([reason.message, String(reason)])).not.toContain("wr0ng");
      await using transport = await connect(server.url.replace("nats://", "nats://u:right@"));
      expect(await transport.queues(CALL)).toEqual([]);
    });
  }, PATIENCE);

  test("a token is taken, in the URL too; a wrong one is a typed error that does not repeat it", async () => {
    await withServer({
      config: "authorization { token: right }",
      auth: { auth_token: "right" },
    }, async ({ url }) => {
      for (const options of [{ servers: url, token: "right" }, { servers: url.replace("//", "//right@") }]) {
        await using transport = nats(options);
        expect(await transport.queues(CALL)).toEqual([]);
      }
      await using transport = nats({ servers: url, token: "wr0ng" });
      expect(await reasonOf(transport.queues(CALL))).toMatchObject(REFUSED);
    });
  }, PATIENCE);

  test("an authenticator signs what the server asks; one with another key is a typed error", async () => {
    const [known, unknown] = [nkeys.createUser(), nkeys.createUser()];
    await withServer({
      config: `authorization { users = [
        { user: admin, password: p }
        { nkey: ${known.getPublicKey()} } ] }`,
      auth: { user: "admin", pass: "p" },
    }, async ({ url }) => {
      await using transport = nats({ servers: url, authenticator: nkeyAuthenticator(known.getSeed()) });
      expect(await transport.push([job({ queue: "work", id: "1" })], CALL)).toEqual(["stored"]);
      await using other = nats({ servers: url, authenticator: nkeyAuthenticator(unknown.getSeed()) });
      expect(await reasonOf(other.queues(CALL))).toMatchObject(REFUSED);
    });
  }, PATIENCE);

  test("a server that is too old is told each time, with both versions, and not held on to", async () => {
    await using old = await oldServer("2.11.9");
    await using transport = nats({ servers: old.url });
    for (let times = 1; times <= 2; times++) {
      expect(await reasonOf(transport.queues(CALL))).toMatchObject(TOO_OLD);
      await expect.poll(old.connections).toEqual([0, times]);
    }
  });

  test("a connection to a server that is too old is left open where it was handed over", async () => {
    await using old = await oldServer("2.11.9");
    const connection = await connectCore({ servers: old.url.replace("nats://", "") });
    const transport = nats({ connection });
    expect(await reasonOf(transport.queues(CALL))).toMatchObject(TOO_OLD);
    await transport[Symbol.asyncDispose]();
    await connection.flush();
    expect(old.connections()).toEqual([1, 1]);
    await connection.close();
  });

  test("a server between the oldest that is taken and the oldest that was tested is used, and told once", async () => {
    await using old = await oldServer("2.13.1");
    const told: string[] = [];
    await using transport = nats({ servers: old.url, warn: (message) => told.push(message) });
    const ask = (): Promise<unknown> => reasonOf(transport.queues({ deadline: 100 }));
    // On a busy machine the first call may be over before the server has greeted.
    await expect.poll(async () => (await ask(), told.length)).toBe(1);
    await ask();
    expect(told).toEqual(["NATS 2.13.1 is used untested: the oldest server that the tests ran on is 2.15"]);
    expect(old.connections()).toEqual([1, 1]);
  });

  test("a server without JetStream is a typed error", async () => {
    await withServer({ jetstream: false }, async (server) => {
      const reason = await reasonOf(connect(server.url, CALL));
      expect([reason.code, reason.message]).toEqual([
        "TRANSPORT_UNAVAILABLE",
        expect.stringContaining("JetStream"),
      ]);
    });
  }, PATIENCE);

  test("a server without TLS is refused where a URL asks for it", async () => {
    await withServer({}, async (server) => {
      const reason = await reasonOf(connect(server.url.replace("nats:", "tls:"), { deadline: 2_000 }));
      expect(reason.code).toBe("TRANSPORT_UNAVAILABLE");
    });
  }, PATIENCE);

  test("a server that is not there is a typed error within the deadline", async () => {
    const begun = performance.now();
    const reason = await reasonOf(connect("nats://127.0.0.1:1", { deadline: 1_000 }));
    expect(reason.code).toBe("TRANSPORT_UNAVAILABLE");
    expect(performance.now() - begun).toBeLessThan(20_000);
  }, PATIENCE);

  test(
    "a subject that the user may not publish to is a typed error, and nothing is tried again by itself",
    async () => {
      const config = `authorization { users = [
      { user: admin, password: p }
      { user: poor, password: p, permissions: { publish: { deny: ["relevo.work.j.w.>"] } } } ] }`;
      await withServer({ config, auth: { user: "admin", pass: "p" } }, async (server) => {
        await using transport = nats({ servers: server.url, user: "poor", pass: "p" });
        const [pushed] = await transport.push([job({ queue: "work", id: "1" })], CALL);
        expect(pushed).toMatchObject({
          code: "TRANSPORT_FORBIDDEN",
          message: expect.stringContaining("permits"),
        });
        expect(await transport.push([job({ queue: "other", id: "1" })], CALL)).toEqual(["stored"]);
      });
    },
    PATIENCE,
  );

  test("payloads count with their headers: one over the server's limit is refused alone", async () => {
    await withServer({ config: "max_payload: 64KB" }, async (server) => {
      await using transport = await connect(server.url);
      expect(transport.limits.payload).toBeLessThan(64 * 1024);
      const results = await transport.push([
        job({ queue: "work", id: "1" }),
        job({ queue: "work", id: "2", payload: new Uint8Array(transport.limits.payload + 1) }),
        job({ queue: "work", id: "3", payload: new Uint8Array(transport.limits.payload - 1_000), meta: "m" }),
      ], CALL);
      expect(results).toEqual(["stored", expect.objectContaining({ code: "TOO_LARGE" }), "stored"]);
    });
  }, PATIENCE);

  test(
    "a relay that was made before its server was reached refuses what that takes no more with its record",
    async () => {
      await withServer({ config: "max_payload: 64KB" }, async (server) => {
        const schema = {
          "~standard": { version: 1, vendor: "test", validate: (value: unknown) => ({ value }) },
        } as const;
        const relay = createRelay({ jobs: { work: schema }, transport: nats({ servers: server.url }) });
        await relay.dispatch("work", "small");
        expect(await reasonOf(relay.dispatch("work", "x".repeat(50_000)))).toMatchObject({
          code: "TOO_LARGE",
        });
        expect((await relay.info("default")).waiting).toBe(1);
        await relay.close();
      });
    },
    PATIENCE,
  );

  test(
    "a full store refuses pushes with TransportFull, gives out what it has, and takes more then",
    async () => {
      await withServer({ limits: { max_file: "300KB" } }, async (server) => {
        await using transport = nats({ servers: server.url });
        const big = Array.from(
          { length: 40 },
          (_, n) => job({ queue: "work", id: `${n}`, payload: new Uint8Array(10_000) }),
        );
        const results = await transport.push(big, CALL);
        const stored = results.filter((result) => result === "stored").length;
        expect(stored).toBeGreaterThan(0);
        expect(results.at(-1)).toMatchObject({ code: "TRANSPORT_FULL" });
        const taken = await transport.reserve(["work"], {
          limit: 50,
          slots: 50,
          lease: 60_000,
          wait: 0,
          ...CALL,
        });
        expect(taken.length).toBe(stored);
        const done = taken.map(({ queue, token }) => ({ queue, token, to: "done" as const }));
        expect(await transport.settle(done, CALL)).toEqual(done.map(() => "settled"));
        expect(await transport.push(big.slice(0, 1), CALL)).toEqual(["stored"]);
      });
    },
    PATIENCE,
  );
});

describeOn(["nats"], "A stream that stands in the way", () => {
  const server = owned(() => startNats());

  const FOREIGN: Readonly<Record<string, readonly [object, string]>> = {
    "has another retention": [
      { subjects: ["PRE.work.>"], retention: "limits", allow_direct: true },
      "retention",
    ],
    "has other subjects": [{ subjects: ["elsewhere.PRE.>"], retention: "workqueue" }, "subjects"],
    "would drop old jobs": [
      {
        subjects: ["PRE.work.>"],
        retention: "workqueue",
        allow_direct: true,
        allow_rollup_hdrs: true,
        allow_msg_ttl: true,
        allow_msg_schedules: true,
        allow_atomic: true,
        max_age: 1e9,
      },
      "age",
    ],
  };
  for (const [what, [config, word]] of Object.entries(FOREIGN)) {
    test(`and ${what} is left as it is, with an error that says what differs`, async () => {
      const prefix = `f${crypto.randomUUID()}`;
      const text = JSON.stringify(config).replaceAll("PRE", prefix);
      await made(await server(), `${prefix}_work`, JSON.parse(text));
      await using transport = nats({ servers: (await server()).url, prefix });
      const [pushed] = await transport.push([job({ queue: "work", id: "1" })], CALL);
      expect(pushed).toMatchObject({
        code: "TRANSPORT_INCOMPATIBLE",
        message: expect.stringContaining(word),
      });
      const call = { limit: 1, slots: 1, lease: 1_000, wait: 0, ...CALL };
      expect((await reasonOf(transport.reserve(["work"], call))).code).toBe("TRANSPORT_INCOMPATIBLE");
      expect(await transport.push([job({ queue: "free", id: "1" })], CALL)).toEqual(["stored"]);
    });
  }

  test("by subjects that overlap is told by a typed error", async () => {
    const prefix = `f${crypto.randomUUID()}`;
    await made(await server(), `${prefix}-all`, { subjects: [`${prefix}.>`] });
    await using transport = nats({ servers: (await server()).url, prefix });
    const [pushed] = await transport.push([job({ queue: "work", id: "1" })], CALL);
    expect(pushed).toMatchObject({
      code: "TRANSPORT_INCOMPATIBLE",
      message: expect.stringContaining("overlap"),
    });
  });
});

describeOn(["nats"], "What other programs and users see of NATS", () => {
  const server = owned(() => startNats());

  test("the stream and its durable consumer are named as told, and a second start finds them", async () => {
    const prefix = `f${crypto.randomUUID()}`;
    for (let n = 0; n < 2; n++) {
      await using transport = nats({ servers: (await server()).url, prefix, group: "mine", ackWait: 7_000 });
      await transport.push([job({ queue: "a.b", id: `${n}` })], CALL);
    }
    const client = await (await server()).raw();
    const { streams } = JSON.parse(await client.request("$JS.API.STREAM.LIST"));
    const names = streams.map(({ config: { name } }: { config: { name: string } }) => name);
    const [stream] = names.filter((name: string) => name.startsWith(prefix));
    expect(stream).toMatch(new RegExp(`^${prefix}_a_b_[0-9a-f]{8}$`));
    const { config } = JSON.parse(await client.request(`$JS.API.CONSUMER.INFO.${stream}.mine`));
    expect([config.ack_wait, config.max_deliver, config.ack_policy]).toEqual([7_000_000_000, -1, "explicit"]);
    await client[Symbol.asyncDispose]();
  });

  test("a connection that was handed over works, and is left open", async () => {
    const connection = await connectCore({ servers: (await server()).url.replace("nats://", "") });
    const transport = nats({ connection, prefix: `f${crypto.randomUUID()}` });
    expect(await transport.push([job({ queue: "work", id: "1" })], CALL)).toEqual(["stored"]);
    await transport[Symbol.asyncDispose]();
    expect(connection.isClosed()).toBe(false);
    await connection.close();
  });

  test("a connection that was handed over while it was broken is used when it is back", async () => {
    await withServer({}, async (own) => {
      const connection = await connectCore({
        servers: own.url.replace("nats://", ""),
        maxReconnectAttempts: -1,
        reconnectTimeWait: 100,
      });
      await own.kill();
      await expect.poll(() => connection.info).toBeUndefined();
      await using transport = nats({ connection });
      const pushed = transport.push([job({ queue: "work", id: "1" })], { deadline: PATIENCE });
      await own.start();
      expect(await pushed).toEqual(["stored"]);
      await connection.close();
    });
  }, PATIENCE);

  test("a connection that was handed over and is closed is told by each call, and not waited for", async () => {
    const connection = await connectCore({ servers: (await server()).url.replace("nats://", "") });
    await using transport = nats({ connection });
    expect(await transport.queues(CALL)).toEqual([]);
    await connection.close();
    for (let times = 0; times < 2; times++) {
      expect(await reasonOf(transport.queues(CALL))).toMatchObject({
        code: "TRANSPORT_UNAVAILABLE",
        message: "Cannot use NATS as the connection that was handed over is closed",
      });
    }
  });

  test("jobs travel over WebSocket", async () => {
    await using transport = await connect(`${(await server()).ws}?prefix=f${crypto.randomUUID()}`);
    expect(await transport.push([job({ queue: "work", id: "1" })], CALL)).toEqual(["stored"]);
    const call = { limit: 1, slots: 1, lease: 1_000, wait: 1_000, ...CALL };
    expect((await transport.reserve(["work"], call)).map(({ id }) => id)).toEqual(["1"]);
  });

  test("a message without a body, and one whose body is no JSON, are jobs like any other", async () => {
    const prefix = `f${crypto.randomUUID()}`;
    await using transport = nats({ servers: (await server()).url, prefix });
    await transport.reserve(["work"], { limit: 1, slots: 1, lease: 1_000, wait: 10, ...CALL });
    const client = await (await server()).raw();
    for (const body of ["", "no {json"]) await client.request(`${prefix}.work.in.x`, body);
    await client[Symbol.asyncDispose]();
    const call = { limit: 9, slots: 9, lease: 60_000, wait: 1_000, ...CALL };
    const found = [
      ...await transport.reserve(["work"], call),
      ...await transport.reserve(["work"], { ...call, wait: 300 }),
    ];
    expect(found.map(({ name, payload }) => [name, new TextDecoder().decode(payload)])).toEqual([
      ["work", ""],
      ["work", "no {json"],
    ]);
  });

  test("ids that callers chose leave nothing behind when their time is over", async () => {
    const prefix = `f${crypto.randomUUID()}`;
    await using transport = nats({ servers: (await server()).url, prefix });
    await transport.push([job({ queue: "work", id: "1", idWindow: 4_000 })], CALL);
    await transport.push([job({ queue: "work", id: "2", idWindow: 0 })], CALL);
    const call = { limit: 9, slots: 9, lease: 60_000, wait: 0, ...CALL };
    for (const { token } of await transport.reserve(["work"], call)) {
      await transport.settle([{ queue: "work", token, to: "done" }], CALL);
    }
    const left = async (): Promise<number> => (await lettersIn(await server(), `${prefix}_work`)).length;
    // The server removes it, though no process is there any more.
    await transport[Symbol.asyncDispose]();
    expect(await left()).toBe(1);
    await expect.poll(left).toBe(0);
  }, PATIENCE);
});

describe("Options of NATS", () => {
  const WRONG: Readonly<Record<string, unknown>> = {
    "neither servers nor a connection": {},
    "servers that are none": { servers: [] },
    "TLS settings for WebSocket": { servers: "wss://a", tls: {} },
    "TCP and WebSocket at once": { servers: ["nats://a", "ws://b"] },
    "a prefix with a dot": { servers: "a", prefix: "a.b" },
    "an ackWait of 0": { servers: "a", ackWait: 0 },
    "an unknown option": { servers: "a", durable: "x" },
    "a connection that is none": { connection: {} },
    "replicas without end": { servers: "a", replicas: 6 },
  };
  for (const [what, options] of Object.entries(WRONG)) {
    test(`${what}: refused`, () => {
      expect(() => nats(options as NatsOptions)).toThrow(/^Cannot use NATS as/);
    });
  }
});

describeOn(["nats"], "A stream or a consumer that somebody deleted", () => {
  const server = owned(() => startNats());

  for (const what of ["STREAM.DELETE.PRE_work", "CONSUMER.DELETE.PRE_work.relevo"]) {
    test(
      `(${what.split(".")[0]?.toLowerCase()}) is told to who waits, and made anew by the next call`,
      async () => {
        const prefix = `f${crypto.randomUUID()}`;
        const one = await server();
        await using transport = nats({ servers: one.url, prefix });
        await transport.push([job({ queue: "work", id: "1", delay: 600_000 })], CALL);
        const call = { limit: 1, slots: 1, lease: 60_000, wait: 10_000, ...CALL };
        const waiting = reasonOf(transport.reserve(["work"], call));
        const client = await one.raw();
        // Pulls that came behind the deletion would be nobody's.
        const waits = async (): Promise<boolean> => {
          const lines = await Promise.all(
            ["relevo", "relevo_back"].map(async (consumer) =>
              JSON.parse(await client.request(`$JS.API.CONSUMER.INFO.${prefix}_work.${consumer}`)).num_waiting
            ),
          );
          return lines.every((count) => count === 1);
        };
        await expect.poll(waits).toBe(true);
        await client.request(`$JS.API.${what.replace("PRE", prefix)}`);
        await client[Symbol.asyncDispose]();
        expect((await waiting).code).toBe("TRANSPORT_UNAVAILABLE");
        const { in_msgs: before } = await one.monitor("/varz");
        await new Promise((resolve) => setTimeout(resolve, 300));
        const { in_msgs: after } = await one.monitor("/varz");
        expect(Number(after) - Number(before)).toBeLessThan(20);
        const pushed = async (): Promise<unknown> =>
          (await transport.push([job({ queue: "work", id: "2" })], CALL))[0];
        await expect.poll(pushed).toBe("stored");
        expect((await transport.reserve(["work"], call)).map(({ id }) => id)).toEqual(["2"]);
      },
      PATIENCE,
    );
  }
});
