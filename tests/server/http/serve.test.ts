import { request } from "node:http";
import { expect, test } from "vitest";
import { createRelay } from "../../../mod.ts";
import { admin, serve } from "../../../src/http/mod.ts";
import { free } from "../../web/support/kit.ts";

test("the admin handler answers over a socket, on this machine alone", async () => {
  await using relay = createRelay({ jobs: { mail: free<number>() } });
  await relay.dispatch("mail", 1);
  await using server = await serve(admin(relay, { authorize: "none" }), { port: 0 });
  expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  const queues = await fetch(`${server.url}/queues/list`);
  expect([queues.status, await queues.json()]).toMatchObject([200, {
    queues: [{ queue: "default", waiting: 1 }],
  }]);
  const preview = await fetch(`${server.url}/jobs/remove/preview`, {
    method: "POST",
    body: JSON.stringify({ channel: "waiting" }),
    headers: { "content-type": "application/json" },
  });
  expect(await preview.json()).toMatchObject({ count: 1 });
  const large = await fetch(`${server.url}/jobs/remove/preview`, {
    method: "POST",
    body: JSON.stringify({ name: "x".repeat(3_000_000) }),
    headers: { "content-type": "application/json" },
  });
  expect(large.status).toBe(413);
  await large.text();
});

test("a request that is none, and a connection that breaks, do not end the server", async () => {
  let calls = 0;
  await using server = await serve((asked) => {
    calls++;
    return asked.url.endsWith("/broken")
      ? Promise.reject(new Error("no"))
      : Promise.resolve(new Response("ok"));
  }, { port: 0 });
  const { port } = new URL(server.url);
  const status = await new Promise((resolve, reject) => {
    request({ port, host: "127.0.0.1", path: "/", headers: { host: "a b" } }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    }).on("error", reject).end();
  });
  expect(status).toBe(400);
  await new Promise<void>((resolve) => {
    const broken = request({ port, host: "127.0.0.1", method: "POST", headers: { "content-length": "10" } });
    broken.on("error", () => resolve());
    broken.write("12345", () => broken.destroy(new Error("cut")));
  });
  expect((await fetch(`${server.url}/broken`)).status).toBe(400);
  expect(await (await fetch(server.url)).text()).toBe("ok");
  expect(calls).toBeGreaterThanOrEqual(2);
});

test("a value that is no function is refused as a handler before anything listens", async () => {
  await expect(serve({ fetch: () => new Response() } as never, { port: 0 })).rejects.toThrow(
    "Cannot serve as the handler must be a function: current value is an object",
  );
});

test("a port that is none is refused", async () => {
  await expect(serve(() => Promise.resolve(new Response()), { port: 65_536 })).rejects.toThrow(
    "'port' must be",
  );
});
