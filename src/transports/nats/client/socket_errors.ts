/**
 * The client stops listening to a socket before it destroys it, and between two steps of connecting. What the socket
 * fails with then is nobody's, and ends the process where such an error comes late: on Deno, of a server that resets what
 * it refuses.
 *
 * @module
 */

/** As much of a socket as is used. */
interface Emitter {
  on(event: "error", hear: () => void): unknown;
  removeAllListeners: (event?: string) => unknown;
}

/** Hears the errors of every socket that a way over TCP ever has, beside whoever else does. */
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
