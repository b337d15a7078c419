/** A store that is away for as long as a test says so. */
import { type Transport, TransportError } from "../../../mod.ts";
import { wrapped } from "./kit.ts";

/** A transport whose reserve calls are refused while it is away. */
export interface Fading {
  readonly transport: Transport;
  away: boolean;
}

/** Makes one that is there. */
export function fading(inner: Transport, message = "gone"): Fading {
  const made: Fading = {
    away: false,
    transport: wrapped(inner, () => ({
      reserve: (queues, options) =>
        made.away
          ? Promise.reject(new TransportError("TRANSPORT_UNAVAILABLE", message))
          : inner.reserve(queues, options),
    })),
  };
  return made;
}
