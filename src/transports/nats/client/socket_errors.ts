/**
 * The client stops listening to a socket before it destroys it, and between two steps of connecting. An error of the
 * socket then has no listener, and ends the process where it comes late: on Deno, of a server that resets the
 * connections that it refuses.
 *
 * @module
 */

/** As much of a socket as is used. */
interface Emitter {
  on(event: "error", hear: () => void): unknown;
  removeAllListeners: (event?: string) => unknown;
}

/** Hears the errors of every socket that a way over TCP ever has, beside all other listeners. */
export function hearSockets(way: object): void {
  let socket: Emitter | undefined;
  Object.defineProperty(way, "socket", {
    configurable: true,
    enumerable: true,
    get: () => socket,
    set(next: Emitter | undefined) {
      socket = next;
      if (next !== undefined) keepHearing(next);
    },
  });
}

function keepHearing(socket: Emitter): void {
  const hear = (): void => {};
  const { removeAllListeners } = socket;
  socket.removeAllListeners = (event) => {
    removeAllListeners.apply(socket, event === undefined ? [] : [event]);
    socket.on("error", hear);
    return socket;
  };
  socket.on("error", hear);
}
