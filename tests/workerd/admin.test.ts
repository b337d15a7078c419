/** The admin handler as the whole of a worker in bare workerd, asked over its socket. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { REQUESTS } from "../server/http/requests.ts";
import { send } from "../server/http/send.ts";
import { bundle } from "./support/bundle.ts";
import { startWorker, type Worker } from "./support/serve.ts";

let worker: Worker;
beforeAll(async () => {
  worker = await startWorker({ modules: (await bundle("tests/workerd/edge/admin.ts")).parts });
});
afterAll(async () => void await worker.stop());

test.each(REQUESTS)("the admin handler in workerd answers %s with %i", async (_, status, sent) => {
  const answer = await send(worker, sent);
  expect(answer.status).toBe(status);
  if (status >= 400 && status !== 401) {
    expect(JSON.parse(answer.text)).toEqual({ error: { message: expect.any(String) } });
  }
});
