/** Credentials of NATS by the client's own options: a credentials file, an nkey, and a certificate of the client's. */
import { Buffer } from "node:buffer";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { credsAuthenticator, jwtAuthenticator, nkeyAuthenticator, nkeys } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { createRelay, type RelevoError } from "../../../mod.ts";
import { job } from "../../../src/testing/conformance/lab.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { nats, type NatsOptions } from "../../../src/transports/nats/mod.ts";
import { free, heard } from "../../web/support/kit.ts";
import { certificateFile, startNats } from "../support/servers/nats.ts";
import { describeOn } from "../support/servers/owned.ts";

const PATIENCE = 120_000;
/** Times that a certificate is shown which the server refuses. */
const REFUSALS = 40;
const CALL = { deadline: 60_000 };
const TAKE = { limit: 1, slots: 1, lease: 10_000, wait: 5_000, ...CALL };

type Key = ReturnType<typeof nkeys.createUser>;

/** A token as the server reads it: claims, signed by an nkey. */
function token(issuer: Key, subject: Key, name: string, claims: object, more: object = {}): string {
  const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const body = {
    jti: crypto.randomUUID(),
    iat: Math.floor(Date.now() / 1_000),
    iss: issuer.getPublicKey(),
    sub: subject.getPublicKey(),
    name,
    nats: { version: 2, ...claims },
    ...more,
  };
  const signed = `${encoded({ typ: "JWT", alg: "ed25519-nkey" })}.${encoded(body)}`;
  return `${signed}.${Buffer.from(issuer.sign(new TextEncoder().encode(signed))).toString("base64url")}`;
}

/** An operator, an account with JetStream and a user: a server's configuration, and what the user's file says. */
interface Decentralized {
  readonly config: string;
  readonly creds: string;
  /** A token that needs no signature: for the test's own look whether the server serves. */
  readonly jwt: string;
  /** A token of the user that is good for so many seconds, or for ever, and the seed to sign with. */
  tokenFor(seconds?: number): string;
  readonly seed: Uint8Array;
}

function decentralized(): Decentralized {
  const [operator, account, user] = [nkeys.createOperator(), nkeys.createAccount(), nkeys.createUser()];
  const system = nkeys.createAccount();
  const unlimited = { subs: -1, data: -1, payload: -1 };
  const jetstream = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
  const bare = { ...unlimited, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
  const limits = { ...bare, ...jetstream };
  const systemToken = token(operator, system, "SYS", { type: "account", limits: bare });
  const accountToken = token(operator, account, "A", { type: "account", limits });
  const tokenFor = (seconds?: number): string => {
    const exp = seconds === undefined ? {} : { exp: Math.ceil(Date.now() / 1_000) + seconds };
    return token(account, user, "u", { type: "user", ...unlimited }, exp);
  };
  return {
    config: [
      `operator: "${token(operator, operator, "O", { type: "operator" })}"`,
      "resolver: MEMORY",
      `system_account: ${system.getPublicKey()}`,
      "resolver_preload: {",
      `${account.getPublicKey()}: "${accountToken}"`,
      `${system.getPublicKey()}: "${systemToken}" }`,
    ].join("\n"),
    tokenFor,
    seed: user.getSeed(),
    jwt: token(account, nkeys.createUser(), "bearer", { type: "user", ...unlimited, bearer_token: true }),
    creds: [
      "-----BEGIN NATS USER JWT-----",
      tokenFor(),
      "------END NATS USER JWT------",
      "",
      "-----BEGIN USER NKEY SEED-----",
      new TextDecoder().decode(user.getSeed()),
      "------END USER NKEY SEED------",
      "",
    ].join("\n"),
  };
}

async function works(options: NatsOptions): Promise<void> {
  await using transport = nats(options);
  expect(await transport.push([job({ queue: "work", id: "1" })], CALL)).toEqual(["stored"]);
  const [delivery] = await transport.reserve(["work"], TAKE);
  const held = { queue: "work", token: delivery?.token ?? "" };
  expect(await transport.settle([{ ...held, to: "done" }], CALL)).toEqual(["settled"]);
}

async function isRefused(options: NatsOptions): Promise<void> {
  await using transport = nats(options);
  await expect(transport.queues(CALL)).rejects.toMatchObject({ code: "TRANSPORT_UNAVAILABLE" });
}

describeOn(["nats"], "A user of NATS", () => {
  test.concurrent("with a credentials file is let in, and without it refused", async () => {
    const { config, creds, jwt } = decentralized();
    await using server = await startNats({ config, auth: { jwt } });
    const folder = mkdtempSync(join(tmpdir(), "relevo-creds-"));
    try {
      const file = join(folder, "user.creds");
      writeFileSync(file, creds);
      await works({ servers: server.url, authenticator: credsAuthenticator(readFileSync(file)) });
      await isRefused({ servers: server.url });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test.concurrent(
    "whose token expires under a running worker is told so by name, and goes on with another",
    async ({ expect }) => {
      const { config, jwt, tokenFor, seed } = decentralized();
      await using server = await startNats({ config, auth: { jwt } });
      const open = (current: () => string): Transport =>
        nats({ servers: server.url, authenticator: jwtAuthenticator(current, seed), warn: () => {} });
      const jobs = { work: { schema: free<number>(), queue: "work" } };
      const seen: number[] = [];
      let [last, renewed] = ["", false];
      const brief = open(() => {
        // On a busy machine one may expire before it was of use.
        if (renewed) last = tokenFor();
        else if (seen.length === 0) last = tokenFor(2);
        return last;
      });
      await using relay = createRelay({ jobs, transport: brief, log: false });
      await using producer = createRelay({ jobs, transport: open(() => tokenFor()), log: false });
      relay.handle("work", (n) => void seen.push(n));
      const states = heard(relay.events, "connection");
      const worker = relay.worker({ poll: 100 });
      const running = worker.run();
      await producer.dispatch("work", 1);
      await expect.poll(() => seen, { timeout: PATIENCE }).toEqual([1]);
      const messages = (): string => states.map((told) => String(told.error?.message)).join("\n");
      // On a busy machine the next connection may be refused before the end of this one is heard of.
      const named = /lost: user authentication expired|refused the credentials/i;
      await expect.poll(messages, { timeout: PATIENCE }).toMatch(named);
      // A token may be taken once more in its last moment: the connection is lost behind it, and refused then.
      const answer = (): Promise<string> =>
        relay.dispatch("work", 2, { id: "2" }).then(
          () => "stored",
          (error: RelevoError) => `${error.code}: ${error.message}`,
        );
      await expect.poll(answer, { timeout: PATIENCE }).toMatch(
        /^TRANSPORT_UNAVAILABLE: .*the server refused the credentials/,
      );
      await producer.dispatch("work", 3);
      expect(seen).not.toContain(3);
      renewed = true;
      await expect.poll(() => seen, { timeout: PATIENCE }).toContain(3);
      expect(states.at(-1)).toMatchObject({ state: "up" });
      await worker.stop();
      await running;
    },
    3 * PATIENCE,
  );

  test.concurrent("with an nkey is let in, and with another refused", async () => {
    const [known, unknown] = [nkeys.createUser(), nkeys.createUser()];
    await using server = await startNats({
      config: `authorization { users = [
        { user: admin, password: p }
        { nkey: ${known.getPublicKey()} } ] }`,
      auth: { user: "admin", pass: "p" },
    });
    await works({ servers: server.url, authenticator: nkeyAuthenticator(known.getSeed()) });
    await isRefused({ servers: server.url, authenticator: nkeyAuthenticator(unknown.getSeed()) });
  });

  test.concurrent("with a certificate that the server trusts is let in, and without one refused", async () => {
    await using server = await startNats({ tls: "address", verify: true });
    const [ca, key] = [certificateFile("address"), certificateFile("key")].map((file) =>
      readFileSync(file, "utf8")
    );
    await works({ servers: server.url, tls: { ca, cert: ca, key } });
    await isRefused({ servers: server.url, tls: { ca } });
  });

  test.concurrent(
    "whose certificate the server refuses is told so each time: no error is thrown past it",
    async () => {
      await using server = await startNats({ tls: "address", verify: true });
      const [ca, cert, key] = (["address", "cert", "key"] as const).map((name) =>
        readFileSync(certificateFile(name), "utf8")
      );
      // The refusal comes in a moment that differs from one connection to the next.
      const refused = { servers: server.url, tls: { ca, cert, key } };
      await Promise.all(Array.from({ length: REFUSALS }, () => isRefused(refused)));
      await works({ servers: server.url, tls: { ca, cert: ca, key } });
    },
    3 * PATIENCE,
  );
});
