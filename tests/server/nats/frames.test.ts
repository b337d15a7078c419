/** How messages are read: their header lines and bodies lie in memory that many share. */
import { connect, headers, type NatsConnection as Client } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import type { Delivery } from "../../../src/jobs/exchange.ts";
import { nats, type NatsConnection } from "../../../src/transports/nats/mod.ts";
import { idToken } from "../../../src/transports/nats/stream/subjects.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";

const CALL = { deadline: 60_000 };
const RESERVE = { ...CALL, limit: 100, slots: 100, lease: 5_000, wait: 0 };

/** A client that does not keep header lines and body in one piece. */
function parting(client: Client): NatsConnection {
  const hidden: Client["subscribe"] = (subject, options) =>
    client.subscribe(subject, {
      ...options,
      callback: (error, message) => {
        const { subject, reply, headers, data } = message;
        Reflect.apply(options?.callback as object as () => void, undefined, [
          error,
          { subject, reply, headers, data: new Uint8Array(data) },
        ]);
      },
    });
  return new Proxy(client, {
    get(target, key) {
      if (key === "subscribe") return hidden;
      const value: unknown = Reflect.get(target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  }) as object as NatsConnection;
}

describeOn(["nats"], "Messages of NATS", () => {
  const server = owned(() => startNats());

  test.each([
    ["in one piece", (client: Client) => client as object as NatsConnection],
    ["in two", parting],
  ])("are read as they were written, header lines and body %s", async (_, seen) => {
    const client = await connect({ servers: (await server()).url.replace("nats://", "") });
    const prefix = `r${crypto.randomUUID()}`;
    const transport = nats({ connection: seen(client), prefix });
    await transport.push(
      [{ queue: "q", id: "first", name: "n", payload: new Uint8Array(0), meta: "" }],
      CALL,
    );
    const written: { lines: [string, string][]; body: string; is: [string, string, string] }[] = [
      { lines: [], body: "raw", is: ["#3", "q", ""] },
      { lines: [["Other", "NATS/1.0"]], body: "", is: ["#4", "q", ""] },
      { lines: [["Relevo", '["a","n","m"]']], body: "a".repeat(100), is: ["a", "n", "m"] },
      { lines: [["Relevo", '["b","n","m"]'], ["Other", "x"]], body: "", is: ["b", "n", "m"] },
      { lines: [["Other", "Relevo: no"], ["Relevo", '["ü","名","{}"]']], body: "é", is: ["ü", "名", "{}"] },
      { lines: [["Relevo", '["c","n",""]'], ["Relevo", '["d","n",""]']], body: "c", is: ["c", "n", ""] },
      { lines: [["relevo", '["d","n",""]'], ["Relevox", "x"]], body: "\r\n\r\n", is: ["#9", "q", ""] },
      { lines: [["Relevo", '["e","n",""]']], body: "e".repeat(200_000), is: ["e", "n", ""] },
      { lines: [["Relevo", '["f","n",""]']], body: "NATS/1.0\r\n\r\n", is: ["f", "n", ""] },
      ...Array.from({ length: 50 }, (_, n) => ({
        lines: [["Relevo", `["g${n}","n",""]`]] as [string, string][],
        body: `${n}`.repeat(n * 40),
        is: [`g${n}`, "n", ""] as [string, string, string],
      })),
    ];
    for (const [n, { lines, body, is: [id] }] of written.entries()) {
      const isRaw = id.startsWith("#");
      const told = headers();
      for (const [name, value] of lines) told.append(name, value);
      await client.request(`${prefix}.q.${isRaw ? `in.x${n}` : `j.w.0.${idToken(id)}`}`, body, {
        timeout: CALL.deadline,
        ...(lines.length === 0 ? {} : { headers: told }),
      });
    }
    const all: Delivery[] = [];
    for (let some = await transport.reserve(["q"], RESERVE); some.length > 0;) {
      all.push(...some);
      some = await transport.reserve(["q"], RESERVE);
    }
    // Looked at when all have come, as they must not write over each other.
    const found = new Map(all.map((delivery) => [delivery.id, delivery]));
    expect(all.length).toBe(written.length + 1);
    for (const { is: [id, name, meta], body } of written) {
      const delivery = found.get(id);
      expect([delivery?.name, delivery?.meta]).toEqual([name, meta]);
      expect(new TextDecoder("utf-8", { ignoreBOM: true }).decode(delivery?.payload)).toBe(body);
    }
    const done = all.map(({ queue, token }) => ({ queue, token, to: "done" as const }));
    expect(new Set(await transport.settle(done, CALL))).toEqual(new Set(["settled"]));
    expect(new Set(await transport.settle(done, CALL))).toEqual(new Set(["stale"]));
    await transport[Symbol.asyncDispose]();
    await client.close();
  }, 120_000);
});
