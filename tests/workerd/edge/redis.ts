/** Invocations on Redis. */
import { redis } from "../../../src/transports/redis/mod.ts";
import { invocations } from "./invocations.ts";

const worker: ReturnType<typeof invocations> = invocations((url) => redis({ url }));
export { worker as default };
