/**
 * The pages of docs/reference/, written from the source: a house test compares them, and `npm run readme` writes them.
 */
import { readFileSync } from "node:fs";
import { inRepository } from "../../../scripts/lib/paths.mjs";
import { limits } from "./limits.ts";
import { type Member, membersOf, textsOf } from "./members.ts";

/** A page's path in the repository, and its text. */
export type Page = readonly [path: string, text: string];

const NOTE = "<!-- Written by `npm run readme` from the source. -->";

/** Every page that is written from others: the reference, and the list of pages for programs that read. */
export function reference(): readonly Page[] {
  return [
    ["docs/reference/errors.md", errors()],
    ["docs/reference/events.md", events()],
    [
      "docs/reference/limits.md",
      page("Defaults and limits", "Wrong numbers are refused, never repaired.", limits()),
    ],
    ["docs/reference/options.md", options()],
    ["llms.txt", llms()],
  ];
}

function page(title: string, lead: string, ...parts: readonly string[]): string {
  return [`# ${title}`, NOTE, lead, ...parts.map((part) => part.trimEnd())].join("\n\n") + "\n";
}

function errors(): string {
  const source = readFileSync(inRepository("src/errors.ts"), "utf8");
  const sources = source + readFileSync(inRepository("src/payload/payload_errors.ts"), "utf8");
  const classes = sources.split(/^(?=export class )/m).slice(1);
  const classOf = (code: string): string => {
    const faults = textsOf("src/errors.ts", "TransportFault").map(({ name }) => name);
    const found = classes.find((text) => text.includes(`"${code}"`));
    const name = faults.includes(code) ? "TransportError" : /^export class (\w+)/.exec(found ?? "")?.[1];
    if (name === undefined) throw new Error(`A class must set the code ${code}`);
    return name;
  };
  const rows = textsOf("src/error_codes.ts", "ErrorCode").map(({ name, comment }) => {
    if (comment === "") throw new Error(`The code ${name} must have a comment in src/error_codes.ts`);
    return `| \`${name}\` | \`${classOf(name)}\` | ${comment} |`;
  });
  return page(
    "Errors",
    "Whatever Relevo rejects with is a `RelevoError` with a stable `code`; an option that is simply wrong is a `TypeError` or `RangeError`. Messages are for people and may change. No message holds a payload or a credential.",
    ["| code | class | meaning |", "|---|---|---|", ...rows].join("\n"),
    "With `OUTCOME_UNKNOWN` the job may be stored: dispatch it again with the error's `id`. With any other error of a dispatch nothing was stored.",
  );
}

function events(): string {
  const shared: Readonly<Record<string, readonly { readonly name: string }[]>> = {
    RunDetail: membersOf("src/events/runs.ts", "RunDetail"),
    Timed: membersOf("src/events/events.ts", "Timed"),
  };
  const rows = membersOf("src/events/events.ts", "EventMap").map(({ name, type, comment }) => {
    if (comment === "") throw new Error(`The event ${name} must have a comment in src/events/events.ts`);
    const whole = type.replace(
      /\b(RunDetail|Timed)\b( & )?/g,
      (_, part: string) => shared[part]?.map((member) => `readonly ${member.name}: x; `).join("") ?? "",
    );
    const fields = [...whole.matchAll(/readonly (\w+)\??:/g)].map(([, field]) => `\`${field}\``);
    return `| \`${name}\` | ${cell(comment)} | ${fields.join(", ")} |`;
  });
  return page(
    "Events",
    "What `relay.events` tells: an `EventTarget`, whose listeners get these fields in `event.detail`. How to listen, and what is logged: [events and logs](../guide/events.md).",
    ["| event | when | detail |", "|---|---|---|", ...rows].join("\n"),
  );
}

/** Which interfaces stand under which heading. */
const OPTIONS: readonly (readonly [title: string, lead: string, ...types: (readonly [string, string])[]])[] =
  [
    ["A relay", "`createRelay(options)`.", ["src/relay/relay_options.ts", "RelayOptions"]],
    [
      "A job's definition",
      "A value of `jobs`: a schema, or an object with these. Read where the job runs, so that a deploy changes waiting jobs too.",
      ["src/jobs/definitions.ts", "JobDefinition"],
      ["src/jobs/definitions.ts", "JobOptions"],
    ],
    [
      "A dispatch",
      "`relay.dispatch(name, payload, options)`. The first eleven also stand beside `name` and `payload` in `dispatchMany`, and travel with the job.",
      ["src/relay/prepare.ts", "JobSettings"],
      ["src/relay/dispatch.ts", "DispatchOptions"],
    ],
    ["Many dispatches", "`relay.dispatchMany(jobs, options)`.", ["src/relay/dispatch.ts", "BulkOptions"]],
    ["A handler", "`relay.handle(name, handler, options)`.", ["src/jobs/handle.ts", "HandleOptions"]],
    [
      "A worker",
      "`relay.run(options)`, `relay.worker(options)`, `relay.drain(options)`. Times are milliseconds.",
      ["src/worker/settings.ts", "WorkerOptions"],
    ],
    ["A run", "`relay.run`, `worker.run` and `relay.drain`, beside a worker's options.", [
      "src/worker/worker.ts",
      "RunOptions",
    ]],
    ["A drain", "`relay.drain`, beside those of a run.", ["src/worker/drain.ts", "DrainOptions"]],
    ["A stop", "`worker.stop(options)` and `relay.close(options)`.", ["src/worker/worker.ts", "StopOptions"]],
    [
      "A schedule",
      "`relay.schedule(name, payload, options)`; also `maxAttempts`, `timeout`, `backoff`, `queue`, `headers` and `requestId` as for a dispatch.",
      ["src/relay/schedule_draft.ts", "ScheduleOptions"],
    ],
    [
      "Calls about schedules",
      "`relay.schedules.pause`, `list` and `sync`; each call takes `queue` and `signal`.",
      ["src/relay/schedule_admin.ts", "PauseOptions"],
      ["src/relay/schedule_admin.ts", "ScheduleListOptions"],
      ["src/relay/schedule_sync.ts", "SyncOptions"],
    ],
    [
      "An operator's calls",
      "`relay.list(queue, channel, options)`, `relay.reload(queue, channel, select, options)`; each call takes `signal`.",
      ["src/relay/admin.ts", "ListOptions"],
      ["src/relay/admin.ts", "ReloadOptions"],
    ],
    [
      "Outcomes",
      "`retry(options)`, `deadLetter(options)`, `reschedule(by, options)`.",
      ["src/jobs/outcome.ts", "RetryOptions"],
      ["src/jobs/outcome.ts", "DeadLetterOptions"],
      ["src/jobs/outcome.ts", "RescheduleOptions"],
    ],
    ["Backoff", "`exponential(base, options)`, `linear`, `fixed` and `jittered`.", [
      "src/jobs/backoff.ts",
      "BackoffOptions",
    ]],
    ["A log", "`createRelay({ log })`, where it is neither `false` nor a logger.", [
      "src/events/log.ts",
      "LogOptions",
    ]],
    ["Memory", "`memory(options)` of `@relevo/relevo`.", ["src/transports/memory/mod.ts", "MemoryOptions"]],
    [
      "SQLite",
      "`sqlite(options)` of `@relevo/relevo/sqlite`.",
      ["src/transports/sqlite/options.ts", "SqliteOptions"],
    ],
    ["Redis", "`redis(options)` of `@relevo/relevo/redis`.", [
      "src/transports/redis/options.ts",
      "RedisOptions",
    ]],
    ["NATS", "`nats(options)` of `@relevo/relevo/nats`.", [
      "src/transports/nats/client/options.ts",
      "NatsOptions",
    ]],
    ["A broker of your own", "`fromBroker(options)` of `@relevo/relevo`.", [
      "src/transports/broker/mod.ts",
      "BrokerOptions",
    ]],
    ["The admin handler", "`admin(relay, options)` of `@relevo/relevo/admin`.", [
      "src/http/admin.ts",
      "AdminHandlerOptions",
    ]],
    ["Metrics", "`prometheus(relay, options)` of `@relevo/relevo/prometheus`.", [
      "src/prometheus/exporter.ts",
      "PrometheusOptions",
    ]],
    [
      "A clock for tests",
      "`testRelay(jobs, options)` and `createFakeRuntime(options)` of `@relevo/relevo/testing`; the former takes those of `createRelay`, too.",
      ["src/testing/fake_runtime.ts", "FakeRuntimeOptions"],
    ],
    ["Traces", "`otel(options)` of `@relevo/relevo/otel`.", ["src/otel/mod.ts", "OtelOptions"]],
  ];

function options(): string {
  const parts = OPTIONS.map(([title, lead, ...types]) => {
    const members = types.flatMap(([file, name]) => membersOf(file, name));
    if (members.length === 0) throw new Error(`There must be options of ${title}`);
    return [`## ${title}\n`, `${lead}\n`, "| option | type | meaning |", "|---|---|---|", ...members.map(row)]
      .join("\n");
  });
  return page(
    "Options",
    "Every option of every call, as the source says. An option that is unknown or wrong is refused with a `TypeError` or `RangeError`, never repaired. Defaults and limits in one table: [limits](limits.md).",
    ...parts,
  );
}

function row({ name, type, comment }: Member): string {
  if (comment === "") throw new Error(`The option ${name} must have a comment`);
  return `| \`${name}\` | \`${type.replaceAll("|", "\\|")}\` | ${cell(comment)} |`;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

/** The manual's table of contents in the form of https://llmstxt.org. */
function llms(): string {
  const contents = readFileSync(inRepository("docs/README.md"), "utf8");
  const lines = [...contents.matchAll(/^## (.+)$|^\| \[(.+?)\]\((.+?)\) \| (.+) \|$/gm)]
    .map(([, heading, title, path, about]) =>
      heading === undefined ? `- [${title}](docs/${path}): ${about}` : `\n## ${heading}\n`
    );
  const readme = readFileSync(inRepository("README.md"), "utf8");
  const [, summary = ""] = readme.split("\n\n");
  return `# Relevo\n\n> ${summary}\n\nThe README has the shortest program: [README](README.md).\n${
    lines.join("\n")
  }\n`;
}
