/**
 * A WebSocket whose first words are one message. The client sends its credentials and a ping behind them, and a server
 * that refuses credentials ends the connection when it has read them: a message that it has not read by then makes the
 * client's system throw away the refusal, and no error says why the connection ended.
 *
 * @module
 */

/** A socket as the client wants it. */
export interface Socket {
  readonly socket: WebSocket;
  readonly encrypted: boolean;
}

/** Opens a socket; messages that are sent in the first turn go out together when that is over. */
export function openSocket(url: string): Socket {
  const socket = new WebSocket(url);
  const send = socket.send.bind(socket);
  const held: ArrayBuffer[] = [];

  function begin(): void {
    if (socket.send === send) return;
    socket.send = send;
    send(joined(held));
  }

  socket.send = (data) => {
    if (data instanceof ArrayBuffer) {
      if (held.push(data) === 1) queueMicrotask(begin);
    } else {
      begin();
      send(data);
    }
  };
  return { socket, encrypted: /^wss:/i.test(url) };
}

function joined(parts: readonly ArrayBuffer[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((size, { byteLength }) => size + byteLength, 0));
  let at = 0;
  for (const part of parts) {
    all.set(new Uint8Array(part), at);
    at += part.byteLength;
  }
  return all;
}
