/** Definitions of tomorrow over what the programs of today and yesterday have stored. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { createRelay, deadLetter } from "../../../mod.ts";
import { inRepository } from "../../../scripts/lib/paths.mjs";
import { connect } from "../../../src/connect.ts";
import { free } from "../../web/support/kit.ts";
import { relevo } from "./support.ts";

interface Place {
  readonly url: string;
  /** A module whose relay has these definitions, as JavaScript. */
  module(jobs: string): string;
  /** Validates the store with a module of these definitions. */
  validate(jobs: string, ...argv: readonly string[]): ReturnType<typeof relevo>;
}

function place(): Place {
  const folder = mkdtempSync(join(tmpdir(), "relevo-validate-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const url = `sqlite:${join(folder, "jobs.db")}`;
  const module = (jobs: string): string => {
    const file = join(folder, `jobs-${crypto.randomUUID()}.ts`);
    const at = (path: string): string => JSON.stringify(pathToFileURL(inRepository(path)).href);
    writeFileSync(
      file,
      `import { createRelay, from } from ${at("mod.ts")};
import { connect } from ${at("src/connect.ts")};
const want = (test, message) => ({ "~standard": { version: 1, vendor: "test", validate: (value) =>
  test(value) ? { value } : { issues: [{ message, path: ["to"] }] } } });
export const relay = createRelay({ transport: await connect(${
        JSON.stringify(url)
      }), log: false, jobs: ${jobs} });
`,
    );
    return file;
  };
  return { url, module, validate: (jobs, ...argv) => relevo(["jobs", "validate", module(jobs), ...argv]) };
}

/** Mails of two shapes that wait, are delayed or are dead, and a large one. */
async function fill(url: string): Promise<void> {
  await using relay = createRelay({
    jobs: { mail: { schema: free<object>(), queue: "mail" }, old: { schema: free<object>(), queue: "mail" } },
    transport: await connect(url),
    log: false,
  });
  relay.handle("mail", () => deadLetter({ reason: "refused" }));
  await relay.dispatch("mail", { to: 17 }, { id: "dead" });
  await relay.drain();
  await relay.dispatch("mail", { to: "ada@example.org" }, { id: "well" });
  await relay.dispatch("mail", { to: "x".repeat(10_000) }, { id: "large" });
  await relay.dispatch("mail", { secret: "hunter2" }, { id: "wrong", delay: 60_000 });
}

const STRICT =
  `{ mail: { queue: "mail", schema: want((value) => typeof value.to === "string", "must be a text") } }`;

test("`jobs validate` names each stored job that no handler would get, with its places, and what the schema says where payloads may be shown", async () => {
  const { url, validate } = place();
  await fill(url);
  const { code, stdout, stderr } = await validate(STRICT);
  expect(stdout).toBe(
    "mail delayed wrong: invalid: The payload of 'mail' does not fit its schema at 'to'\n" +
      "mail failed dead: invalid: The payload of 'mail' does not fit its schema at 'to'\n" +
      "4 jobs checked, 2 that no handler would get\n",
  );
  expect([code, stderr]).toEqual([1, ""]);
  expect((await validate(STRICT, "--payload")).stdout).toContain("at 'to'\n  to: must be a text\n");
});

test("`jobs validate` changes nothing, and ends with 0 where all is read", async () => {
  const { url, validate } = place();
  await fill(url);
  const before = (await relevo(["queues", "--json"], { env: { RELEVO_URL: url } })).stdout.replace(
    /"oldest":\d+/,
    "",
  );
  const answer = await validate(`{ mail: { queue: "mail", schema: want(() => true, "") } }`);
  expect(answer).toMatchObject({ code: 0, stdout: "4 jobs checked, 0 that no handler would get\n" });
  const after = (await relevo(["queues", "--json"], { env: { RELEVO_URL: url } })).stdout.replace(
    /"oldest":\d+/,
    "",
  );
  expect(after).toBe(before);
});

test("`jobs validate` climbs versions, and names the version that is read no more", async () => {
  const { url, validate } = place();
  await fill(url);
  const climbs = `{ mail: { queue: "mail", upcast: from(1, (old) => ({ to: String(old.to) })),
    schema: want((value) => typeof value.to === "string", "must be a text") } }`;
  expect(await validate(climbs)).toMatchObject({ code: 0 });
  const cut = `{ mail: { queue: "mail", upcast: from(2), schema: want(() => true, "") } }`;
  const { code, stdout } = await validate(cut, "--channels", "waiting", "--json");
  const lines = stdout.trim().split("\n").map((line) => JSON.parse(line));
  expect([code, lines.length, lines[0], lines.at(-1)]).toEqual([
    1,
    3,
    expect.objectContaining({ queue: "mail", channel: "waiting", id: "well", reason: "version" }),
    { checked: 2, faulty: 2 },
  ]);
});

test("`jobs validate` tells names that are defined no more, and leaves queues of other programs out unless asked", async () => {
  const { url, validate } = place();
  await fill(url);
  const other = `{ bill: { queue: "bills", schema: want(() => true, "") } }`;
  const left = await validate(other);
  expect(left).toMatchObject({ code: 0, stdout: "0 jobs checked, 0 that no handler would get\n" });
  expect(left.stderr).toBe("mail: 4 jobs of names that are not defined here, left out\n");
  const asked = await validate(other, "--queue", "mail");
  expect([asked.code, asked.stdout]).toEqual([1, expect.stringContaining("well: unknown: ")]);
});

test.each([
  [["--channels", "waiting,gone"], "--channels must be of waiting, delayed, reserved, failed, timeout"],
  [["--queue", "nowhere"], "names the queue 'nowhere'"],
])("`jobs validate` with %j is refused with exit code 2", async (argv, wanted) => {
  const { url, validate } = place();
  await fill(url);
  expect(await validate(STRICT, ...argv)).toMatchObject({
    code: 2,
    stdout: "",
    stderr: expect.stringContaining(wanted),
  });
});
