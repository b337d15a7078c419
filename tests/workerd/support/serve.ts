/** A worker in bare workerd that serves requests, one invocation after another, until the test is over. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { binaryOf } from "../../../scripts/lib/runtimes.mjs";
import { startProcess } from "../../server/support/servers/process.ts";
import { compatibilityDate } from "./dates.ts";

/** What a worker is made of. */
export interface WorkerOptions {
  /** The first is its main module. */
  readonly modules: readonly { readonly name: string; readonly code: string }[];
  /** Compatibility flags; none by default. */
  readonly flags?: readonly string[];
  /** Texts that it finds in its environment. */
  readonly texts?: Readonly<Record<string, string>>;
  /** Whether it can be sent scheduled events, for which workerd wants to be told that experiments are welcome. */
  readonly schedule?: boolean;
}

/** An answer. */
export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** A worker that serves. */
export interface Worker extends AsyncDisposable {
  /** Where it takes requests. */
  readonly socketPath: string;
  /** Makes a request of its own. */
  get(path: string): Promise<Answer>;
  /** Makes a request, and resolves with the beginning of its answer; it goes on until the caller leaves. */
  hold(path: string): Promise<{ readonly text: string; leave(): void }>;
  /** Lets a scheduled event happen; resolves when it is handled. */
  scheduled(): Promise<Answer>;
  /** Ends it; resolves with everything that it complained of. */
  stop(): Promise<string>;
}

/** How long workerd may take until it serves, and to answer, in milliseconds. */
const PATIENCE = 60_000;
const STEP = 10;

/** Events other than requests reach a worker only from another one. */
const CLOCK = `export default {
  async fetch(_, { WORKER }) {
    const { outcome } = await WORKER.scheduled({ scheduledTime: new Date(), cron: "* * * * *" });
    return new Response(outcome);
  },
};`;

/** Starts workerd with a worker in it. Its sockets are files, as a port may be taken by then. */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const { modules, schedule = false } = options;
  const folder = mkdtempSync(join(tmpdir(), "relevo-worker-"));
  for (const { name, code } of modules) {
    mkdirSync(dirname(join(folder, "worker", name)), { recursive: true });
    writeFileSync(join(folder, "worker", name), code);
  }
  writeFileSync(join(folder, "clock.js"), CLOCK);
  const config = join(folder, "config.capnp");
  writeFileSync(config, configuration(folder, options));
  const command = binaryOf("workerd") ?? "workerd";
  const args = ["serve", ...(schedule ? ["--experimental"] : []), config];
  const run = startProcess({ command, args: [], title: "workerd" }, args);

  async function stop(): Promise<string> {
    run.signal("SIGTERM");
    const timer = setTimeout(() => run.signal("SIGKILL"), PATIENCE);
    const errors = await run.exited.finally(() => clearTimeout(timer));
    rmSync(folder, { recursive: true, force: true });
    return errors;
  }

  const end = performance.now() + PATIENCE;
  while (!await ask(join(folder, "worker.socket"), "/").then(() => true, () => false)) {
    if (run.over || performance.now() > end) throw new Error(`Cannot start workerd: ${await stop()}`);
    await new Promise((resolve) => setTimeout(resolve, STEP));
  }
  return {
    socketPath: join(folder, "worker.socket"),
    get: (path) => ask(join(folder, "worker.socket"), path),
    hold: (path) => hold(join(folder, "worker.socket"), path),
    scheduled: () => ask(join(folder, "clock.socket"), "/"),
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
    },
  };
}

function configuration(
  folder: string,
  { modules, flags = [], texts = {}, schedule = false }: WorkerOptions,
): string {
  const quoted = (text: string): string => JSON.stringify(text);
  const embedded = modules.map(({ name }) =>
    `(name = ${quoted(name)}, esModule = embed ${quoted(`worker/${name}`)})`
  );
  const bindings = Object.entries(texts).map(([name, text]) =>
    `(name = ${quoted(name)}, text = ${quoted(text)})`
  );
  const socket = (name: string): string =>
    `(name = "${name}", address = ${
      quoted(`unix:${join(folder, `${name}.socket`)}`)
    }, http = (), service = "${name}")`;
  const services = ["worker", ...(schedule ? ["clock"] : [])];
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    ${services.map((name) => `(name = "${name}", worker = .${name}),`).join("\n    ")}
    (name = "internet", network = (allow = ["private", "local"])),
  ],
  sockets = [${services.map(socket).join(", ")}],
);
const worker :Workerd.Worker = (
  modules = [${embedded.join(", ")}],
  bindings = [${bindings.join(", ")}],
  compatibilityDate = "${compatibilityDate}",
  compatibilityFlags = [${flags.map(quoted).join(", ")}],
);
const clock :Workerd.Worker = (
  modules = [(name = "clock.js", esModule = embed "clock.js")],
  bindings = [(name = "WORKER", service = "worker")],
  compatibilityDate = "${compatibilityDate}",
  compatibilityFlags = ["service_binding_extra_handlers"],
);
`;
}

function ask(socketPath: string, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, timeout: PATIENCE, agent: false }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (chunk: string) => text += chunk);
      answer.once("end", () => resolve({ status: answer.statusCode ?? 0, text }));
      answer.once("error", reject);
    });
    asked.once("timeout", () => asked.destroy(new Error(`workerd does not answer within ${PATIENCE} ms`)));
    asked.once("error", reject);
    asked.end();
  });
}

function hold(socketPath: string, path: string): Promise<{ readonly text: string; leave(): void }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, agent: false }, (answer) => {
      const leave = (): void => void asked.destroy();
      answer.setEncoding("utf8").once("data", (text: string) => resolve({ text, leave }));
      answer.once("error", reject);
    });
    asked.once("error", reject);
    asked.end();
  });
}
