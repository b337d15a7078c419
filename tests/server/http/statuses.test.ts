/** The admin handler behind sockets: of our own server on each runtime, and of those that Deno and Bun have built in. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRelay, deadLetter } from "../../../mod.ts";
import { admin, type AdminHandler, serve } from "../../../src/http/mod.ts";
import { free } from "../../web/support/kit.ts";
import { authorize, BASE, REQUESTS } from "./requests.ts";
import { send } from "./send.ts";

interface Listening {
  readonly port: number;
  close(): Promise<unknown>;
}

type Serve = (handler: AdminHandler) => Promise<Listening>;

const servers: [string, Serve][] = [["serve", async (handler) => {
  const { url, close } = await serve(handler, { port: 0 });
  return { port: Number(new URL(url).port), close };
}]];

interface Deno {
  serve(options: object, handler: AdminHandler): {
    readonly addr: { readonly port: number };
    shutdown(): Promise<void>;
  };
}
interface Bun {
  serve(options: object): { readonly port: number; stop(now: boolean): Promise<void> };
}
const { Deno, Bun } = globalThis as { readonly Deno?: Deno; readonly Bun?: Bun };
if (Deno !== undefined) {
  servers.push(["Deno.serve", (handler) => {
    const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, handler);
    return Promise.resolve({ port: server.addr.port, close: () => server.shutdown() });
  }]);
}
if (Bun !== undefined) {
  servers.push(["Bun.serve", (handler) => {
    const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: handler });
    return Promise.resolve({ port: server.port, close: () => server.stop(true) });
  }]);
}

describe.each(servers)("the admin handler in %s answers", (_, start) => {
  const relay = createRelay({ jobs: { mail: free<number>() }, log: false });
  let server: Listening;
  beforeAll(async () => {
    relay.handle("mail", () => deadLetter({ reason: "refused" }));
    for (const n of [1, 2, 3]) await relay.dispatch("mail", n);
    await relay.drain();
    server = await start(admin(relay, { authorize, basePath: BASE }));
  });
  afterAll(async () => {
    await server.close();
    await relay.close();
  });

  test.each(REQUESTS)("%s with %i", async (_, status, sent) => {
    const answer = await send(server, sent);
    expect(answer.status).toBe(status);
    if (status === 401) expect(answer.headers["www-authenticate"]).toBe("Key");
    else if (status >= 400) {
      expect(JSON.parse(answer.text)).toEqual({ error: { message: expect.any(String) } });
    }
    if (status === 405) expect(answer.headers.allow).toMatch(/^(GET|POST)$/);
  });

  test("and a write by its preview's token does what was shown, over the wire", async () => {
    const headers = { "x-key": "k", "content-type": "application/json" };
    const ask = async (path: string, body: object): Promise<Record<string, unknown>> =>
      JSON.parse(
        (await send(server, { path: `${BASE}${path}`, method: "POST", headers, body: JSON.stringify(body) }))
          .text,
      );
    const { token, count } = await ask("/dead/reload/preview", { reason: "refused" });
    expect(count).toBe(3);
    expect(await ask("/dead/reload", { reason: "refused", token })).toEqual({ reloaded: 3, taken: 0 });
    expect(await relay.info()).toMatchObject({ waiting: 3, failed: 0 });
  });
});
