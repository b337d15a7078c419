/** Codecs and versions of payloads over NATS: F012. */
import { expect, test } from "vitest";
import { deadLetter, from, json } from "../../../mod.ts";
import { aesGcm, gzip, keyRing, pipeline } from "../../../src/codecs/mod.ts";
import { bytes, free, heard, textOf } from "../../web/support/kit.ts";
import { orderBehindSlowFilters } from "../../web/support/slow_filters.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { type Ground, groundOn, worksUntil } from "./ground.ts";

const PATIENCE = 120_000;
const CALL = { deadline: 60_000 };
const LONG = "compressed ".repeat(300);
const RING = keyRing("main", [{ id: "k1", key: new Uint8Array(32).fill(7) }]);
const encrypted = pipeline(json, gzip(), aesGcm(RING));

describeOn(["nats"], "Codecs and versions over NATS", () => {
  const server = owned(() => startNats());

  function row(title: string, check: (ground: Ground) => Promise<void>): void {
    test.concurrent(title, async () => {
      await using ground = groundOn(await server());
      await check(ground);
    }, PATIENCE);
  }

  row("F012: what is compressed and encrypted comes back, and lies in no stream in clear", async (ground) => {
    const relay = ground.relay({ job: { schema: free<string>(), codec: encrypted, require: true } });
    await relay.dispatch("job", LONG, { id: "1" });
    const [entry] = await relay.transport.get("default", ["1"], CALL);
    expect(entry?.payload.length).toBeLessThan(LONG.length / 2);
    expect(`${entry?.meta} ${textOf(entry?.payload ?? bytes("compressed"))}`).not.toContain("compressed");
    expect((await relay.get("default", "1"))?.codec).toBe("json+gzip+a256gcm:main");
    const seen: string[] = [];
    relay.handle("job", (text) => void seen.push(text));
    expect(await relay.drain()).toMatchObject({ completed: 1, failed: 0 });
    expect(seen).toEqual([LONG]);
  });

  row(
    "F012: list and get open an encrypted error where the key is, and name the key elsewhere",
    async (ground) => {
      const job = { schema: free<string>(), codec: encrypted, maxAttempts: 1 };
      const relay = ground.relay({ job });
      relay.handle("job", (text) => {
        throw new Error(`no room for ${text}`);
      });
      await relay.dispatch("job", "secret", { id: "1" });
      expect(await relay.drain()).toMatchObject({ failed: 1 });
      const [entry] = await relay.transport.get("default", ["1"], CALL);
      expect(entry?.meta).not.toContain("secret");
      const { jobs: [dead] } = await relay.list("default", "failed");
      expect(dead).toMatchObject({ id: "1", lastError: { message: "no room for secret" } });
      expect((await relay.get("default", "1"))?.lastError?.message).toBe("no room for secret");
      const keyless = ground.relay({ job: free<string>() });
      expect((await keyless.get("default", "1"))?.lastError).toEqual({
        name: "Error",
        message: "[encrypted, key k1]",
      });
    },
  );

  row("an older program's payload climbs, and a newer one's is left to a newer worker", async (ground) => {
    const old = ground.relay({ job: free<string>() });
    const upcast = from(1, (text: string) => [text]).step((texts) => ({ texts }));
    const today = ground.relay({ job: { schema: free<{ texts: string[] }>(), upcast } });
    await today.dispatch("job", { texts: ["y"] }, { id: "new" });
    const released = heard(old.events, "released");
    old.handle("job", () => deadLetter());
    expect(await old.drain({ limit: 1 })).toMatchObject({ released: 1, failed: 0 });
    expect(released).toMatchObject([{ reason: "version", job: { id: "new", version: 3 } }]);
    await old.dispatch("job", "x", { id: "old" });
    const seen: unknown[] = [];
    today.handle("job", (payload, { job }) => void seen.push([payload, job.version]));
    await worksUntil(today, "both ran", () => seen.length === 2);
    expect(seen).toEqual(expect.arrayContaining([[{ texts: ["x"] }, 1], [{ texts: ["y"] }, 3]]));
  });

  row("jobs that pass filters are stored in the order of their dispatch", async (ground) => {
    const seen = await orderBehindSlowFilters((codec) =>
      ground.relay({ job: { schema: free<number>(), codec } })
    );
    expect(seen).toEqual([0, 1, 2, 3, 4, 5]);
  });
});
