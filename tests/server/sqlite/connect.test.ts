import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { connect, type ConnectOptions } from "../../../src/connect.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { call, connection, folder, job, newFile, rejection } from "./support.ts";

async function connected(url: string, options?: ConnectOptions): Promise<Transport> {
  const transport = await connect(url, options);
  onTestFinished(async () => await transport[Symbol.asyncDispose]());
  return transport;
}

test("a scheme chooses the transport", async () => {
  expect((await connected("memory:")).name).toBe("memory");
  expect((await connected("sqlite::memory:")).features.durable).toBe(false);
  const path = newFile();
  expect((await connected(`sqlite:${path}`)).features.durable).toBe(true);
  expect((await connected(`SQLITE://${path}`)).name).toBe("sqlite");
});

test("escapes of a path are decoded", async () => {
  const path = join(folder(), "a b?#%é.db");
  const transport = await connected(
    `sqlite:${encodeURI(path).replaceAll("?", "%3F").replaceAll("#", "%23")}`,
  );
  await transport.push([job()], call);
  expect(connection(path).prepare("SELECT count(*) AS n FROM relevo_jobs").get()?.n).toBe(1);
});

test("parameters become options", async () => {
  const path = newFile();
  const transport = await connected(`sqlite:${path}?durability=normal&probe=5&maxBytes=1048576&name=mine`);
  expect(transport.name).toBe("mine");
  await expect(transport.push([job({ payload: new Uint8Array(2 ** 21) })], call)).rejects.toMatchObject({
    code: "TRANSPORT_FULL",
  });
});

test("what is no option, or no value of one, is refused by its name", async () => {
  const wrong: readonly (readonly [unknown, RegExp])[] = [
    [{ dedline: 5 }, /no option 'dedline'/],
    [{ deadline: "5" }, /'deadline' must be milliseconds/],
    [{ signal: {} }, /'signal' must be an AbortSignal/],
    [{ warn: "loud" }, /'warn' must be a function/],
    [null, /its options must be an object/],
  ];
  for (const [options, message] of wrong) {
    await expect(connect("memory:", options as ConnectOptions)).rejects.toThrow(message);
  }
});

test("what is wrong with a URL is told with what is wanted, and no secret is", async () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["", /must begin with one of 'memory:', 'sqlite:'.*''/],
    ["jobs.db", /current value is 'jobs.db'/],
    ["s3cret", /has no scheme/],
    [
      "mysql://me:s3cret@host/db?password=s3cret",
      /scheme must be one of 'memory:', 'sqlite:'.*: current value is 'mysql:'/,
    ],
    ["memory:s3cret", /nothing may follow 'memory:'/],
    ["memory:?a=s3cret", /no parameter 'a'/],
    ["sqlite:", /must be a path/],
    ["sqlite:?durability=full", /must be a path/],
    ["sqlite://me:s3cret@host/jobs.db", /begins with '\/\/'/],
    ["sqlite::memory", /must be a path.*begins with ':' and is not ':memory:'/],
    ["sqlite::s3cret:", /begins with ':'/],
    ["sqlite:50%.db", /%25/],
    ["sqlite:a.db?pasword=s3cret", /no parameter 'pasword': it takes durability, maxBytes, probe, name/],
    ["sqlite:a.db?durability=some", /'full' or 'normal'.*'some'/],
    ["sqlite:a.db?probe=often", /'probe' must be a whole number.*'often'/],
    ["sqlite:a.db?probe=1&probe=2", /'probe' must be given once/],
  ];
  for (const [url, message] of cases) {
    const error = await rejection(connect(url));
    expect(error, url).toBeInstanceOf(TypeError);
    expect(String(error)).toMatch(message);
    expect(String(error)).not.toContain("s3cret");
  }
});

test("a number out of its range is a RangeError", async () => {
  expect(await rejection(connect("sqlite:a.db?probe=0"))).toBeInstanceOf(RangeError);
  expect(await rejection(connect("sqlite:a.db?maxBytes=1"))).toBeInstanceOf(RangeError);
});

test("an aborted signal ends the attempt", async () => {
  const reason = new Error("no");
  expect(await rejection(connect("memory:", { signal: AbortSignal.abort(reason) }))).toBe(reason);
});
