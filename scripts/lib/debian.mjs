/* @ts-self-types="./debian.d.mts" */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const TRIES = 3;
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/**
 * Unpacks packages of Debian's suites into a folder, without touching what is installed: apt gets lists, cache and
 * sources of its own, and needs no rights. `packages` are written `name/suite`. Throws when one cannot be had.
 */
export function unpack(folder, suites, packages) {
  for (let tries = 1;; tries++) {
    try {
      return attempt(folder, suites, packages);
    } catch (error) {
      if (tries === TRIES || error.hopeless) throw error;
    }
  }
}

function attempt(folder, suites, packages) {
  rmSync(folder, { recursive: true, force: true });
  const apt = join(folder, "apt");
  for (const part of ["lists/partial", "cache/archives/partial", "debs"]) {
    mkdirSync(join(apt, part), { recursive: true });
  }
  const key = existsSync(KEYRING) ? `[signed-by=${KEYRING}] ` : "";
  const source = (suite) => `deb ${key}${archive()} ${suite} main\n`;
  writeFileSync(join(apt, "sources.list"), suites.map(source).join(""));
  const settings = {
    "Dir::Etc::sourcelist": join(apt, "sources.list"),
    "Dir::Etc::sourceparts": "-",
    "Dir::State::lists": join(apt, "lists"),
    "Dir::Cache": join(apt, "cache"),
    "APT::Sandbox::User": "root",
    "Acquire::Languages": "none",
    "Acquire::Retries": "3",
    "Acquire::http::Timeout": "20",
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  command("apt-get", [...options, "-qq", "-o", "APT::Update::Error-Mode=any", "update"], folder);
  const debs = join(apt, "debs");
  command("apt-get", [...options, "-qq", "download", ...packages], debs);
  for (const deb of readdirSync(debs)) command("dpkg", ["-x", join(debs, deb), folder], folder);
  // Lists, documentation and conversion tables: nine tenths of the size.
  for (const part of ["apt", "usr/share"]) rmSync(join(folder, part), { recursive: true, force: true });
}

function command(name, args, cwd) {
  const { status, stderr, error } = spawnSync(name, args, { cwd, encoding: "utf8", timeout: 300_000 });
  if (status === 0) return;
  const why = error?.code === "ENOENT" ? `there is no ${name} here` : error?.message ?? stderr.trim();
  throw Object.assign(new Error(why), { hopeless: error?.code === "ENOENT" });
}

/** The Debian archive that a machine uses, by the folder of apt's settings; a machine without one is no Debian. */
export function archive(settings = "/etc/apt") {
  const folder = join(settings, "sources.list.d");
  const files = [join(settings, "sources.list")];
  if (existsSync(folder)) files.push(...readdirSync(folder).map((name) => join(folder, name)));
  for (const file of files.filter(existsSync)) {
    const found = /^(?:deb\s(?:.*\s)?|URIs:\s*)(https?:\/\/\S+\/debian)\/?(?:\s|$)/m.exec(
      readFileSync(file, "utf8"),
    );
    if (found !== null) return found[1];
  }
  throw Object.assign(new Error("no archive of Debian is configured here"), { hopeless: true });
}

/** What runs a program of an unpacked folder with the libraries beside it: the suite's own loader. */
export function loaderOf(folder) {
  const libraries = ["lib", "usr/lib"].map((path) => join(folder, path)).filter(existsSync)
    .flatMap((path) =>
      readdirSync(path).filter((name) => /-linux-gnu/.test(name)).map((name) => join(path, name))
    );
  for (const path of libraries) {
    const loader = readdirSync(path).find((name) => /^ld-linux.*\.so\.\d+$/.test(name));
    if (loader === undefined) continue;
    return { command: join(path, loader), args: ["--library-path", libraries.join(":")], libraries };
  }
  throw new Error(`Cannot find a loader in ${folder}`);
}
