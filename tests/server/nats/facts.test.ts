/** What the transport rests on, as the server does it: a newer server that does otherwise is told here first. */
import { connect, headers } from "@nats-io/transport-node";
import { expect, onTestFinished, test } from "vitest";
import { startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";

const EXPECTED = "Nats-Expected-Last-Subject-Sequence";
const FILTER = `${EXPECTED}-Subject`;
const ONCE = "Nats-Msg-Id";
const WRONG_SEQUENCE = 10071;
const DUPLICATE_IN_BATCH = 10201;
const TOO_LARGE = 10199;
const NO_MESSAGE = 10037;

/** Milliseconds that a call of the API may take on a busy machine. */
const CALL = 60_000;

interface Answer {
  readonly seq?: number;
  readonly duplicate?: boolean;
  readonly error?: { readonly err_code: number; readonly description: string };
}

interface Sent {
  readonly subject: string;
  readonly lines?: Readonly<Record<string, string>>;
}

describeOn(["nats"], "A server of NATS", () => {
  const start = owned(() => startNats());

  async function ground() {
    const connection = await connect({ servers: (await start()).url.replace("nats://", "") });
    onTestFinished(() => connection.close());
    const stream = `F${crypto.randomUUID()}`;
    const base = stream.toLowerCase();
    const api = async (subject: string, body?: object) => {
      const text = body === undefined ? "" : JSON.stringify(body);
      const answer = await connection.request(`$JS.API.${subject}`, text, { timeout: CALL });
      return answer.json<Record<string, unknown> & { readonly error?: Answer["error"] }>();
    };
    const made = await api(`STREAM.CREATE.${stream}`, {
      name: stream,
      subjects: [`${base}.>`],
      retention: "workqueue",
      allow_direct: true,
      allow_rollup_hdrs: true,
      allow_msg_ttl: true,
      allow_msg_schedules: true,
      allow_atomic: true,
      duplicate_window: 120e9,
    });
    expect(made.error).toBeUndefined();
    const linesOf = (lines: Readonly<Record<string, string>>) => {
      const all = headers();
      for (const [name, value] of Object.entries(lines)) all.set(name, value);
      return all;
    };
    const put = async ({ subject, lines = {} }: Sent): Promise<Answer> =>
      (await connection.request(subject, "x", { headers: linesOf(lines), timeout: CALL })).json<Answer>();
    const batch = async (all: readonly Sent[]): Promise<Answer> => {
      const id = crypto.randomUUID();
      const parts = all.map(({ subject, lines = {} }, n) => ({
        subject,
        lines: { ...lines, "Nats-Batch-Id": id, "Nats-Batch-Sequence": `${n + 1}` },
      }));
      for (const { subject, lines } of parts.slice(0, -1)) {
        connection.publish(subject, "x", { headers: linesOf(lines) });
      }
      const last = parts.at(-1);
      if (last === undefined) throw new Error("Wanted a message");
      return await put({ subject: last.subject, lines: { ...last.lines, "Nats-Batch-Commit": "1" } });
    };
    const last = async (subject: string): Promise<string | number> => {
      const { message, error } = await api(`STREAM.MSG.GET.${stream}`, { last_by_subj: subject });
      return error?.err_code ?? (message as { readonly subject: string }).subject;
    };
    const live = (state: string, id: string, minute = "0"): string => `${base}.j.${state}.${minute}.${id}`;
    const any = (id: string): string => `${base}.j.*.*.${id}`;
    const expecting = (seq: number, id: string) => ({ [EXPECTED]: `${seq}`, [FILTER]: any(id) });
    const at = (ms: number, id: string) => ({
      "Nats-Schedule": `@at ${new Date(Date.now() + ms).toISOString()}`,
      "Nats-Schedule-Target": live("w", id),
    });
    return { api, put, batch, last, live, any, expecting, at, stream, base };
  }

  test("refuses a write on a filter that has another last message, and names its number", async () => {
    const { put, live, expecting } = await ground();
    const first = await put({ subject: live("w", "a"), lines: expecting(0, "a") });
    expect(first.seq).toBe(1);
    const second = await put({ subject: live("d", "a"), lines: expecting(0, "a") });
    expect(second.error).toMatchObject({ err_code: WRONG_SEQUENCE, description: "wrong last sequence: 1" });
    const gone = await put({ subject: live("b", "b"), lines: expecting(7, "b") });
    expect(gone.error).toMatchObject({ err_code: WRONG_SEQUENCE, description: "wrong last sequence: 0" });
    expect((await put({ subject: live("b", "a"), lines: expecting(1, "a") })).seq).toBe(2);
  });

  test("finds the last message of a filter with wildcards, by both kinds of questions", async () => {
    const { put, live, any, last } = await ground();
    await put({ subject: live("w", "a") });
    await put({ subject: live("b", "a") });
    expect(await last(any("a"))).toBe(live("b", "a"));
    expect(await last(any("none"))).toBe(NO_MESSAGE);
  });

  test("moves a scheduled message to its target, without its message id and with our line, and never early", async () => {
    const { put, live, any, last, expecting, at, api, stream } = await ground();
    const due = Date.now() + 400;
    const lines = { ...expecting(0, "a"), ...at(400, "a"), [ONCE]: "p1", Relevo: "[1]" };
    expect((await put({ subject: live("d", "a", "1x"), lines })).error).toBeUndefined();
    await expect.poll(() => last(any("a"))).toBe(live("w", "a"));
    expect(Date.now()).toBeGreaterThanOrEqual(due);
    const { message } = await api(`STREAM.MSG.GET.${stream}`, { last_by_subj: any("a") });
    const text = atob((message as { readonly hdrs: string }).hdrs);
    expect(text).toContain("Relevo: [1]");
    expect(text).not.toContain(ONCE);
  });

  test("takes a scheduled message anew in its own place, which is the one that is moved", async () => {
    const { put, live, any, last, expecting, at, api, stream } = await ground();
    const first = await put({
      subject: live("d", "a"),
      lines: { ...expecting(0, "a"), ...at(600_000, "a") },
    });
    const again = { ...expecting(first.seq ?? 0, "a"), ...at(0, "a"), "Nats-Rollup": "sub" };
    expect((await put({ subject: live("d", "a"), lines: again })).error).toBeUndefined();
    await expect.poll(() => last(any("a"))).toBe(live("w", "a"));
    const { state } = await api(`STREAM.INFO.${stream}`);
    expect((state as { readonly messages: number }).messages).toBe(1);
  });

  test("removes a message whose time to live is over, and frees its filter", async () => {
    const { put, live, expecting } = await ground();
    const kept = await put({ subject: live("i", "a"), lines: { ...expecting(0, "a"), "Nats-TTL": "1s" } });
    expect(kept.seq).toBe(1);
    const free = async (): Promise<boolean> =>
      (await put({ subject: live("w", "a"), lines: expecting(0, "a") })).error === undefined;
    expect(await free()).toBe(false);
    await expect.poll(free).toBe(true);
  });

  test("stores an atomic batch whole or not at all, of 1,000 messages at most", async () => {
    const { batch, live, expecting, last, any } = await ground();
    const wanted = (id: string): Sent => ({ subject: live("w", id), lines: expecting(0, id) });
    expect((await batch([wanted("a"), wanted("b")])).error).toBeUndefined();
    expect((await batch([wanted("c"), wanted("a")])).error?.err_code).toBe(WRONG_SEQUENCE);
    expect(await last(any("c"))).toBe(NO_MESSAGE);
    const many = Array.from({ length: 1_001 }, (_, n): Sent => wanted(`m${n}`));
    expect((await batch(many)).error?.err_code).toBe(TOO_LARGE);
    expect((await batch(many.slice(1))).error).toBeUndefined();
    const once = { ...wanted("d"), lines: { ...expecting(0, "d"), [ONCE]: "o1" } };
    expect((await batch([once, wanted("e")])).error).toBeUndefined();
    const twice = { subject: live("w", "f"), lines: { [ONCE]: "o1" } };
    expect((await batch([twice, wanted("g")])).error?.err_code).toBe(DUPLICATE_IN_BATCH);
  });
});
