/**
 * Addresses of servers: the text of an option or of the environment, parsed in this file, as the driver's errors would
 * repeat a whole URL with its password.
 *
 * @module
 */

import { env } from "node:process";
import { quote, wrongType } from "../../../options.ts";

/** One server. */
export interface Address {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
}

/** At least one. */
export type Addresses = readonly [Address, ...Address[]];

const ACTION = "use Redis";
const PORT = 6379;
const FALLBACK = "redis://127.0.0.1:6379";

/**
 * The addresses of the options, else of the environment, else of a server on this machine. `several`: these are nodes
 * of a Cluster.
 */
export function addressesOf(
  url: string | undefined,
  nodes: readonly string[] | undefined,
): { readonly list: Addresses; readonly several: boolean } {
  if (url !== undefined) return { list: [addressOf("'url'", url)], several: false };
  if (nodes !== undefined) {
    if (!Array.isArray(nodes) || nodes.length === 0) {
      throw wrongType(ACTION, "'nodes'", "an array of at least one address", nodes);
    }
    return { list: all("each of 'nodes'", nodes), several: true };
  }
  if (env["REDIS_URL"]) return { list: [addressOf("REDIS_URL", env["REDIS_URL"])], several: false };
  const list = all("each address in REDIS_ADDR", (env["REDIS_ADDR"] || FALLBACK).split(","));
  return { list, several: list.length > 1 };
}

function all(what: string, texts: readonly string[]): Addresses {
  const [first = "", ...others] = texts;
  return [addressOf(what, first), ...others.map((text) => addressOf(what, text))];
}

function addressOf(what: string, text: string): Address {
  if (typeof text !== "string") throw wrong(what, `it is ${quote(text)}`);
  const trimmed = text.trim();
  const whole = /^[a-z][a-z+]*:\/\//i.test(trimmed) ? trimmed : `redis://${trimmed}`;
  let url: URL;
  try {
    url = new URL(whole);
  } catch {
    // The error itself would repeat the address.
    throw wrong(what, "its host or port is none");
  }
  const { protocol, hostname, port, username, password, pathname, search, hash } = url;
  if (protocol !== "redis:" && protocol !== "rediss:") throw wrong(what, `its scheme is '${protocol}'`);
  if (hostname === "") throw wrong(what, "it has no host");
  if (search !== "" || hash !== "") throw wrong(what, "it has parameters");
  const database = pathname.replace(/^\//, "");
  if (!/^\d{0,9}$/.test(database)) throw wrong(what, "its path is no number of a database");
  return {
    host: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: port === "" ? PORT : Number(port),
    tls: protocol === "rediss:",
    username: decoded(what, username),
    password: decoded(what, password),
    database: Number(database),
  };
}

function decoded(what: string, text: string): string | undefined {
  try {
    return text === "" ? undefined : decodeURIComponent(text);
  } catch {
    throw wrong(what, "its user or password has a '%' that begins no escape (write %25)");
  }
}

function wrong(what: string, found: string): TypeError {
  return new TypeError(
    `Cannot ${ACTION} as ${what} must be an address such as 'redis://localhost:6379' or 'localhost:6379': ${found}`,
  );
}
