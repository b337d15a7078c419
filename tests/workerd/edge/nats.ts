/** Invocations on NATS JetStream. */
import { nats } from "../../../src/transports/nats/mod.ts";
import { invocations } from "./invocations.ts";

const worker: ReturnType<typeof invocations> = invocations((url) => nats({ servers: url }));
export { worker as default };
