/** The admin handler as the whole of a worker; each request finds three dead jobs. */
import { createRelay, deadLetter } from "../../../mod.ts";
import { admin } from "../../../src/http/mod.ts";
import { authorize, BASE } from "../../server/http/requests.ts";
import { free } from "../../web/support/kit.ts";

export default {
  async fetch(request: Request): Promise<Response> {
    const relay = createRelay({ jobs: { mail: free<number>() }, log: false });
    relay.handle("mail", () => deadLetter({ reason: "refused" }));
    for (const n of [1, 2, 3]) await relay.dispatch("mail", n);
    await relay.drain();
    return await admin(relay, { authorize, basePath: BASE })(request);
  },
};
