/** Sends requests over a socket. */
import { request } from "node:http";
import { HOST, type Sent } from "./requests.ts";

/** Where a server listens. */
export type Socket = { readonly port: number } | { readonly socketPath: string };

export interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** Sends bytes as they are: `fetch` would not let a caller say where a request comes from. */
export function send(
  socket: Socket,
  { path, method = "GET", headers = {}, body = "" }: Sent,
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const length = method === "GET"
      ? {}
      : { "content-length": String(new TextEncoder().encode(body).length) };
    const asked = request(
      {
        ...("port" in socket ? { host: "127.0.0.1", port: socket.port } : socket),
        path,
        method,
        headers: { host: HOST, ...length, ...headers },
        agent: false,
      },
      (answer) => {
        let text = "";
        answer.setEncoding("utf8").on("data", (chunk: string) => text += chunk);
        answer.once("end", () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text }));
        answer.once("error", reject);
      },
    );
    asked.once("error", reject);
    asked.end(body);
  });
}
