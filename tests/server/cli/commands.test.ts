import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { createRelay, deadLetter, every, type Relay } from "../../../mod.ts";
import { inRepository } from "../../../scripts/lib/paths.mjs";
import { connect } from "../../../src/connect.ts";
import { free } from "../../web/support/kit.ts";
import { run } from "../../../src/cli/mod.ts";
import { relevo, type Setting, typing } from "./support.ts";

type Mails = { readonly mail: ReturnType<typeof free<{ readonly n: number }>> };

interface Place {
  readonly folder: string;
  readonly url: string;
  /** A command on this store. */
  relevo(argv: readonly string[], setting?: Setting): ReturnType<typeof relevo>;
  /** What a program does with the store, before or between commands. */
  use<Value>(work: (relay: Relay<Mails>) => Promise<Value>): Promise<Value>;
}

function place(): Place {
  const folder = mkdtempSync(join(tmpdir(), "relevo-cli-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const url = `sqlite:${join(folder, "jobs.db")}`;
  return {
    folder,
    url,
    relevo: (argv, setting = {}) => relevo(argv, { ...setting, env: { RELEVO_URL: url, ...setting.env } }),
    async use(work) {
      await using relay = createRelay({
        jobs: { mail: free<{ readonly n: number }>() },
        transport: await connect(url),
        log: false,
      });
      return await work(relay);
    },
  };
}

/** So many dead jobs. */
function dead(count: number): (relay: Relay<Mails>) => Promise<void> {
  return async (relay) => {
    relay.handle("mail", () => deadLetter({ reason: "refused" }));
    await relay.dispatchMany(
      Array.from({ length: count }, (_, n) => ({ name: "mail", payload: { n } }) as const),
    );
    await relay.drain();
  };
}

test("F165: one dead job is waiting after `dead reload`, and its count is printed", async () => {
  const { relevo, use } = place();
  await use(dead(1));
  expect(await relevo(["dead", "reload"])).toMatchObject({ code: 0, stdout: "1 job reloaded\n", stderr: "" });
  expect(await use((relay) => relay.info())).toMatchObject({ waiting: 1, failed: 0 });
});

test("F166: after `dead remove` nothing is left", async () => {
  const { relevo, use } = place();
  await use(dead(3));
  expect(await relevo(["dead", "remove", "--yes"])).toMatchObject({ code: 0, stdout: "3 jobs removed\n" });
  expect(await use((relay) => relay.info())).toMatchObject({ waiting: 0, failed: 0 });
});

test("before a removal the count and a sample are shown, and only a yes removes", async () => {
  const { relevo, use } = place();
  await use(dead(7));
  const no = await relevo(["dead", "remove"], { stdin: typing("no"), isTTY: true });
  expect(no.code).toBe(0);
  expect(no.stderr).toContain("to be removed: 7 jobs\n");
  expect(no.stderr).toContain("and 2 more\n");
  expect(no.stderr).toContain("Nothing was removed.");
  expect(await use((relay) => relay.info())).toMatchObject({ failed: 7 });
  const yes = await relevo(["dead", "remove"], { stdin: typing("y"), isTTY: true });
  expect(yes).toMatchObject({ code: 0, stdout: "7 jobs removed\n" });
});

test("before a recurring job is removed it is shown, and only a yes removes it", async () => {
  const { relevo, use } = place();
  await use((relay) => relay.schedule("mail", { n: 1 }, { key: "nightly", when: every(86_400_000) }));
  const unasked = await relevo(["schedules", "remove", "nightly"]);
  expect([unasked.code, unasked.stderr]).toEqual([
    2,
    expect.stringContaining("schedule 'nightly' would be removed: say --yes"),
  ]);
  const no = await relevo(["schedules", "remove", "nightly"], { stdin: typing("no"), isTTY: true });
  expect([no.code, no.stdout, no.stderr]).toEqual([0, "", expect.stringContaining("Nothing was removed.")]);
  expect(no.stderr).toContain("nightly  default  mail");
  expect((await relevo(["schedules", "show", "nightly", "--json"])).stdout).toContain('"key":"nightly"');
  const yes = await relevo(["schedules", "remove", "nightly"], { stdin: typing("y"), isTTY: true });
  expect(yes).toMatchObject({ code: 0, stdout: "nightly removed\n" });
  expect((await relevo(["schedules", "show", "nightly"])).code).toBe(2);
});

test("without a terminal nothing is asked, nothing is removed, and the exit code says that the command was wrong", async () => {
  const { relevo, use } = place();
  await use(dead(2));
  for (const setting of [{}, { stdin: { ...typing("y"), isTTY: false } }]) {
    const { code, stderr } = await relevo(["dead", "remove"], setting);
    expect([code, stderr]).toEqual([2, expect.stringContaining("2 jobs would be removed: say --yes")]);
  }
  expect(await use((relay) => relay.info())).toMatchObject({ failed: 2 });
});

test("a command that finds nothing and named no queue names the one that it asked", async () => {
  const { relevo, use } = place();
  await use((relay) => relay.dispatch("mail", { n: 1 }));
  const told = "Only queue 'default' was asked: --queue names another.\n";
  for (const words of [["dead", "list"], ["dead", "reload"], ["dead", "remove", "--yes"]]) {
    expect((await relevo(words)).stderr).toBe(told);
    expect((await relevo([...words, "--queue", "default"])).stderr).toBe("");
    expect((await relevo([...words, "--json"])).stderr).toBe("");
  }
});

test("W62: nothing to do is no mistake: exit code 0 and a count of 0", async () => {
  const { relevo, use } = place();
  await use((relay) => relay.dispatch("mail", { n: 1 }));
  for (
    const [argv, stdout] of [
      [["dead", "reload"], "0 jobs reloaded\n"],
      [["dead", "remove"], "0 jobs removed\n"],
      [["dead", "remove", "--json"], '{"removed":0}\n'],
      [["dead", "list"], "no jobs\n"],
      [["schedules", "list"], "no schedules\n"],
    ] as const
  ) {
    expect(await relevo(argv)).toMatchObject({ code: 0, stdout });
  }
});

test("the period of a schedule is shown in the largest unit that holds it, and as JSON in milliseconds", async () => {
  const { relevo, use } = place();
  await use(async (relay) => {
    for (const ms of [1_500, 90_000, 6 * 3_600_000]) {
      await relay.schedule("mail", { n: 1 }, { when: every(ms), key: `each ${ms}` });
    }
  });
  const { stdout } = await relevo(["schedules", "list"]);
  expect(stdout.match(/every \d+ \w+/g)).toEqual(["every 1500 ms", "every 6 h", "every 90 s"]);
  expect((await relevo(["schedules", "list", "--json"])).stdout).toContain('"when":"every 90000"');
});

test("a long reload shows its progress on a terminal, and ends between two pages when it is interrupted", async () => {
  const { relevo, use } = place();
  await use(dead(3_500));
  const interrupt = new AbortController();
  const { code, stderr } = await relevo(["dead", "reload"], {
    isTTY: true,
    signal: interrupt.signal,
    wrote: (text) => {
      if (text.includes("jobs ...")) interrupt.abort(new Error("enough"));
    },
  });
  if (interrupt.signal.aborted) expect([code, stderr]).toEqual([1, expect.stringContaining("interrupted")]);
  const { waiting, failed } = await use((relay) => relay.info());
  expect(waiting % 500).toBe(0);
  expect(waiting + failed).toBe(3_500);
});

test("a live table looks again until it is interrupted, which is no fault", async () => {
  const { relevo, use } = place();
  await use((relay) => relay.dispatch("mail", { n: 1 }));
  const interrupt = new AbortController();
  let tables = 0;
  const { code, stdout } = await relevo(["queues", "--watch"], {
    isTTY: true,
    signal: interrupt.signal,
    wrote: () => {
      if (++tables === 2) interrupt.abort();
    },
  });
  expect([code, tables]).toEqual([0, 2]);
  expect(stdout.split("\u001b[H\u001b[J").length).toBe(3);
});

/** A module whose relay is on the store, and whose handler does as it is told. */
function moduleOf({ folder, url }: Place, source: string): string {
  const file = join(folder, `module-${crypto.randomUUID()}.ts`);
  const at = (path: string): string => JSON.stringify(pathToFileURL(inRepository(path)).href);
  const imports =
    `import { createRelay } from ${at("mod.ts")};\nimport { connect } from ${at("src/connect.ts")};\n` +
    `const transport = await connect(${JSON.stringify(url)});\n` +
    `const schema = { "~standard": { version: 1, vendor: "test", validate: (value) =>\n` +
    `  value.n === undefined ? { issues: [{ message: "n is missing", path: ["n"] }] } : { value } } };\n`;
  writeFileSync(file, imports + source);
  return file;
}

test("`dispatch` stores a job of a module, and refuses what its schema refuses", async () => {
  const here = place();
  const path = moduleOf(
    here,
    "export const relay = createRelay({ jobs: { mail: schema }, transport, log: false });",
  );
  const stored = await here.relevo(["dispatch", path, "mail", '{"n":1}', "--id", "a", "--json"]);
  expect(stored).toMatchObject({ code: 0, stdout: '{"id":"a","status":"stored"}\n' });
  const again = moduleOf(
    here,
    "export default createRelay({ jobs: { mail: schema }, transport, log: false });",
  );
  expect(await here.relevo(["dispatch", again, "mail", "{}"])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("n is missing"),
  });
  expect(await here.use((relay) => relay.info())).toMatchObject({ waiting: 1 });
});

test("`work` tells failures as they come, stops gracefully when it is interrupted, and says what it did", async () => {
  const here = place();
  await here.use(async (relay) => {
    for (const n of [1, 2, 3]) await relay.dispatch("mail", { n }, { maxAttempts: 1 });
  });
  const path = moduleOf(
    here,
    `export const relay = createRelay({ jobs: { mail: schema }, transport, log: false });
    relay.handle("mail", ({ n }) => { if (n === 3) throw new Error("the mailer\\u001b[2J is down"); });`,
  );
  const interrupt = new AbortController();
  const { code, stdout, stderr } = await here.relevo(["work", path], {
    signal: interrupt.signal,
    wrote: (text) => {
      if (text.startsWith("failed")) interrupt.abort();
    },
  });
  expect([code, stderr]).toEqual([0, "stopping: running jobs may finish\n"]);
  // What a job says cannot move the terminal's cursor.
  expect(stdout).toMatch(
    /^failed mail \w+ in default, run 1: the mailer\\u001b\[2J is down\n2 completed, 0 to be retried, 1 dead\n$/,
  );
});

test.each([
  ["export const relay = 1;", "must export a relay as 'relay' or by default: it exports relay"],
  ["throw new Error('no settings');", "cannot be loaded: no settings"],
  [
    "export const relay = createRelay({ jobs: { mail: schema }, transport, log: false });",
    "registers no handler with its relay",
  ],
])("a module that is no use is told: %s", async (source, wanted) => {
  const here = place();
  const { code, stderr } = await here.relevo(["work", moduleOf(here, source)]);
  expect([code, stderr]).toEqual([2, expect.stringContaining(wanted)]);
});

test.each([
  [["queues", "--url", "postgres://x"], "its scheme must be one of"],
  [["queues", "extra"], "there is one argument too many"],
  [["jobs"], "there is no command 'jobs': there are jobs list, jobs show, jobs remove, jobs validate"],
  [
    ["dead", "list", "--cursor", "x"],
    "'cursor' must be that of a page of these channels: current value is \"x\"",
  ],
  [["schedules", "preview", "nightly", "--count", "-1"], "option '--count' argument is ambiguous\nSee"],
  [["jobs", "show"], "<id> is missing"],
  [["dead", "list", "--limit", "5000"], "'limit'"],
  [["dead", "list", "--limit"], "argument missing"],
  [["dead", "remove", "--yes", "--queue", "nowhere"], "names the queue 'nowhere'"],
  [["dead", "reload", "--queue", "nowhere"], "names the queue 'nowhere'"],
  [["schedules", "run", "never"], "There is no schedule 'never'"],
  [["schedules", "show", "never"], "There is no schedule 'never'"],
  [["schedules", "remove", "never"], "There is no schedule 'never'"],
  [["schedules", "remove", "never", "--yes"], "Cannot remove schedule 'never' as there is none"],
  [["dispatch", "./nothing-here.js", "mail", "{}"], "cannot be loaded"],
  [["dispatch", "./nothing-here.js", "mail", "{"], "<json> must be JSON"],
  [
    ["jobs", "validate", "./jobs.js", "--url", "sqlite:jobs.db"],
    "unknown option '--url': the relay of the module says which store it has",
  ],
])("%j is refused with exit code 2, one line and where to look", async (argv, wanted) => {
  const { relevo, use } = place();
  await use((relay) => relay.info());
  const { code, stdout, stderr } = await relevo(argv);
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toContain(wanted);
  expect(stderr).not.toMatch(/^ +at /m);
});

test("a store that is not there is exit code 1, and the stack is shown only when it is asked for", async () => {
  const argv = ["queues", "--url", "sqlite:/nowhere/at/all/jobs.db"];
  const { code, stderr } = await relevo(argv);
  expect([code, stderr.trimEnd().split("\n").length]).toEqual([1, 1]);
  expect((await relevo([...argv, "--stack"])).stderr).toMatch(/^ +at /m);
});

/** Every command that names a store by its URL. */
const READING: readonly (readonly string[])[] = [
  ["queues"],
  ["queues", "--watch"],
  ["jobs", "list"],
  ["jobs", "show", "1"],
  ["jobs", "remove", "--yes", "--channel", "waiting"],
  ["dead", "list"],
  ["dead", "show", "1"],
  ["dead", "reload"],
  ["dead", "remove", "--yes"],
  ["schedules", "list"],
  ["schedules", "show", "nightly"],
  ["schedules", "pause", "nightly"],
  ["schedules", "resume", "nightly"],
  ["schedules", "run", "nightly"],
  ["schedules", "remove", "nightly", "--yes"],
  ["schedules", "preview", "nightly"],
  ["doctor"],
];

test.each(READING)(
  "`%s %s` on a file with a slip of the pen in its name says so, and makes none",
  async (...argv) => {
    const { folder, relevo } = place();
    const { code, stdout, stderr } = await relevo(argv);
    const file = join(folder, "jobs.db");
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toBe(`relevo: Cannot use '${file}' as there is no such file\n`);
    expect(readdirSync(folder)).toEqual([]);
  },
);

test("a SQLite file of another program is told as such, and is not changed", async () => {
  const { folder, relevo } = place();
  const file = join(folder, "jobs.db");
  const other = new DatabaseSync(file);
  other.exec("CREATE TABLE jobs (id INTEGER PRIMARY KEY); INSERT INTO jobs VALUES (1)");
  other.close();
  const before = readFileSync(file);
  for (const argv of [["queues"], ["doctor"], ["dead", "remove", "--yes"]]) {
    const { code, stdout, stderr } = await relevo(argv);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toBe(
      `relevo: Cannot use '${file}' as it is no store of jobs: it has no table 'relevo_schema'\n`,
    );
  }
  expect(readFileSync(file).equals(before)).toBe(true);
  expect(readdirSync(folder)).toEqual(["jobs.db"]);
});

test.each([["--version"], ["-v"]])("`relevo %s` says the version of the package", async (flag) => {
  const { version }: { readonly version: string } = JSON.parse(
    readFileSync(inRepository("package.json"), "utf8"),
  );
  expect(await relevo([flag])).toMatchObject({ code: 0, stdout: `relevo ${version}\n`, stderr: "" });
});

test("without a store's name the command says where one is taken from", async () => {
  expect(await relevo(["queues"])).toMatchObject({ code: 2, stderr: expect.stringContaining("$RELEVO_URL") });
});

test("a configuration names the store by the queue's entry, and what is wrong with it is told", async () => {
  const { folder, url, use } = place();
  await use((relay) => relay.dispatch("mail", { n: 1 }));
  const config = join(folder, "relevo.json");
  writeFileSync(config, JSON.stringify({ queue: { default: { url } } }));
  expect(await relevo(["jobs", "list", "--config", config])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("mail"),
  });
  expect(await relevo(["jobs", "list", "--config", config, "--queue", "bills"])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("queue configuration bills not found"),
  });
  writeFileSync(config, "{");
  expect((await relevo(["queues", "--config", config])).code).toBe(2);
});

test("every command has a help page with its options and examples", async () => {
  const { stdout, code } = await relevo(["--help"]);
  expect(code).toBe(0);
  const commands = [...stdout.matchAll(/^ {2}([a-z]+(?: [a-z]+)?)/gm)].map(([, words = ""]) => words);
  expect(commands.length).toBeGreaterThan(10);
  for (const words of commands) {
    const page = await relevo([...words.split(" "), "--help"]);
    expect(page.code).toBe(0);
    expect(page.stdout).toContain(`Usage: relevo ${words}`);
    expect(page.stdout).toContain(`Examples:\n  relevo ${words}`);
  }
  expect(await relevo([])).toMatchObject({ code: 2, stdout });
});

test("F171: the commands mount under those of another program, whose own they leave alone", async () => {
  const printed: string[] = [];
  const stdout = { write: (text: string) => printed.push(text) };
  const shop = async ([command = "", ...rest]: readonly string[]): Promise<number> => {
    if (command === "jobs") return await run(rest, { stdout, stderr: stdout });
    printed.push(`shop ${command}\n`);
    return 0;
  };
  expect(await shop(["jobs", "queues", "--url", "memory:"])).toBe(0);
  expect(await shop(["open"])).toBe(0);
  expect(await shop(["jobs", "quues"])).toBe(2);
  expect(printed.slice(0, 2)).toEqual(["no queues\n", "shop open\n"]);
});

test.each([
  [undefined, "its arguments must be a list of texts: current value is undefined", {}],
  [["queues"], "its terminal must be an object: current value is undefined", undefined],
  [["queues"], "'stdout' must be an object with a function 'write': current value is undefined", {}],
])("run(%j) says what it lacks: %s", async (argv, fault, terminal) => {
  await expect(run(argv as never, terminal as never)).rejects.toThrow(
    new TypeError(`Cannot run a command as ${fault}`),
  );
});
