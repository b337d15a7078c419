/** TLS over TCP and over WebSocket: whom it trusts, what it says of whom it does not, and that it comes back. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { createRelay } from "../../../mod.ts";
import { job } from "../../../src/testing/conformance/lab.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { free, rejection } from "../../web/support/kit.ts";
import { type Certificate, certificateFile, type NatsServer, startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { type Child, spawnScript } from "../support/spawn.ts";

const CALL = { deadline: 60_000 };
/** Milliseconds in which a refusal is told on a busy machine, too: less than a call may take. */
const QUICK = 30_000;
const PATIENCE = 120_000;
const ADDRESS = certificateFile("address");
/** What gives the runtimes one more certificate to trust. */
const TRUSTING = { NODE_EXTRA_CA_CERTS: ADDRESS, DENO_CERT: ADDRESS };
/** Node says nothing of why a WebSocket was not opened. */
const UNTRUSTED = /^(TransportError: )?Cannot connect to NATS: its .*certificate is not trusted/;

function withCredentials(url: string): string {
  return url.replace("//", "//app:s3cret@");
}

async function connections(server: NatsServer): Promise<unknown> {
  return (await server.monitor("/connz")).num_connections;
}

async function expectWork(transport: Transport, id: string): Promise<void> {
  expect(await transport.push([job({ queue: "work", id })], CALL)).toEqual(["stored"]);
  const look = { limit: 1, slots: 1, lease: 10_000, wait: 5_000, ...CALL };
  const [delivery] = await transport.reserve(["work"], look);
  expect(delivery?.id).toBe(id);
  const held = { queue: "work", token: delivery?.token ?? "" };
  expect(await transport.settle([{ ...held, to: "done" }], CALL)).toEqual(["settled"]);
}

/** What `ca` lets a connection trust. */
function trusted(name: Certificate = "address"): { readonly ca: string } {
  return { ca: readFileSync(certificateFile(name), "utf8") };
}

/** A worker over such a URL, in a process of its own. */
function answering(url: string, prefix: string, env: Readonly<Record<string, string | undefined>>): Child {
  return spawnScript(
    new URL("../fixtures/nats_answers.ts", import.meta.url),
    [withCredentials(url), prefix],
    {
      env,
    },
  );
}

describeOn(["nats"], `TLS with NATS`, () => {
  const started = owned(() =>
    startNats({
      tls: "address",
      config: "authorization { user: app, password: s3cret }",
      auth: { user: "app", pass: "s3cret" },
    })
  );
  const plain = owned(() => startNats());

  for (const scheme of ["tls:", "nats:"]) {
    test(`${scheme} a certificate that nobody vouches for is told at once, without the URL`, async () => {
      const server = await started();
      const servers = withCredentials(server.url.replace("tls:", scheme));
      await using transport = nats({ servers });
      const begun = performance.now();
      const error = await rejection(transport.queues(CALL));
      expect(error).toMatchObject({
        code: "TRANSPORT_UNAVAILABLE",
        message: expect.stringMatching(UNTRUSTED),
      });
      expect(performance.now() - begun).toBeLessThan(QUICK);
      expect(String(error)).not.toMatch(/app|s3cret|127\.0\.0\.1/);
      await expect.poll(() => connections(server)).toBe(0);
    });

    test(`${scheme} a certificate that 'ca' vouches for is taken, and again after a restart`, async () => {
      const server = await started();
      const servers = withCredentials(server.url.replace("tls:", scheme));
      await using transport = nats({ servers, tls: trusted(), prefix: `tls-${crypto.randomUUID()}` });
      await expectWork(transport, "1");
      await server.restart();
      await expectWork(transport, "2");
    }, PATIENCE);
  }

  test("wss: a certificate that the process trusts is taken, and again after a restart", async () => {
    const server = await started();
    const prefix = `tls-${crypto.randomUUID()}`;
    await using transport = nats({ servers: withCredentials(server.url), tls: trusted(), prefix });
    const relay = createRelay({ transport, jobs: { asked: { schema: free<string>(), queue: "asked" } } });
    await using child = answering(server.ws, prefix, TRUSTING);
    expect(await child.next()).toBe("ready");
    await relay.dispatch("asked", "1");
    expect(await child.next()).toBe("answered 1");
    await server.restart();
    await relay.dispatch("asked", "2");
    expect(await child.next()).toBe("answered 2");
    await relay.dispatch("asked", "bye");
    expect(await child.exited).toMatchObject({ code: 0 });
    expect(await relay.info("asked")).toMatchObject({ waiting: 0, reserved: 0 });
  }, PATIENCE);

  for (const way of ["url", "ws"] as const) {
    test(
      `${way}: a process that trusts no certificate of the server says so, and ends by itself`,
      async () => {
        const server = await started();
        await using child = answering(server[way], "none", {
          NODE_EXTRA_CA_CERTS: undefined,
          DENO_CERT: undefined,
        });
        const said = await child.next();
        expect(said).toMatch(UNTRUSTED);
        expect(said).not.toMatch(/app|s3cret|127\.0\.0\.1/);
        expect(await child.exited).toMatchObject({ code: 0 });
        await expect.poll(() => connections(server)).toBe(0);
      },
      PATIENCE,
    );
  }

  test("a server without TLS is refused where TLS is asked for", async () => {
    const { url } = await plain();
    for (const options of [{ servers: url.replace("nats:", "tls:") }, { servers: url, tls: {} }]) {
      await using transport = nats(options);
      await expect(transport.queues({ deadline: QUICK })).rejects.toMatchObject({
        code: "TRANSPORT_UNAVAILABLE",
        message: "Cannot connect to NATS: it does not speak TLS",
      });
    }
    await expect.poll(async () => connections(await plain())).toBe(0);
  });

  test("WebSocket without TLS where the server wants it, and the other way round, is a typed error", async () => {
    const { ws } = await plain();
    const { ws: wss } = await started();
    for (const servers of [ws.replace("ws:", "wss:"), wss.replace("wss:", "ws:")]) {
      await using transport = nats({ servers });
      await expect(transport.queues({ deadline: QUICK })).rejects.toMatchObject({
        code: "TRANSPORT_UNAVAILABLE",
        message: expect.stringMatching(/^Cannot connect to NATS: /),
      });
    }
  });
});

describeOn(["nats"], "A certificate", () => {
  const started = owned(() => startNats({ tls: "cert" }));
  const tls = trusted("cert");

  test("is taken from the host that it names", async () => {
    await using transport = nats({ servers: (await started()).url, tls });
    await expectWork(transport, "1");
  });

  test("is not taken from another host, be it one that is dialled by its address", async () => {
    await using transport = nats({ servers: (await started()).url.replace("localhost", "127.0.0.1"), tls });
    await expect(transport.queues({ deadline: QUICK })).rejects.toMatchObject({
      code: "TRANSPORT_UNAVAILABLE",
      message: "Cannot connect to NATS: its certificate is another host's",
    });
  });
});
