/* @ts-self-types="./kept.d.mts" */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * What suites of a complete run showed of this very tree, for a run that goes on where another stopped: suites that
 * passed whole, with nothing skipped, while the folder was as git knows it. Another tree begins with nothing.
 * `resume`: what an earlier run of this tree kept is still so; else it is forgotten.
 */
export function openKept(root, resume) {
  const file = join(root, "node_modules/.cache/relevo/passed.json");
  const tree = treeOf(root);
  const before = read(file);
  const kept = resume && tree !== undefined && before.tree === tree ? before : { tree, ms: 0, suites: {} };
  const spent = kept.ms;
  const begun = Date.now();
  return {
    /** The tree that git knows the folder by; undefined where a file differs from it, so that nothing is kept. */
    tree,
    /** What a suite showed of this tree in an earlier run, if it passed. */
    of: (name) => kept.suites[name],
    /** Keeps what a suite showed if it is green, and nothing has changed while it ran. */
    keep(name, { counts, shown, ms }) {
      if (counts.failed + counts.skipped > 0 || tree === undefined || treeOf(root) !== tree) return;
      kept.suites[name] = {
        counts,
        shown: [...shown].map(([row, on]) => [row, [...on]]),
        ms,
        at: new Date().toISOString(),
      };
      kept.ms = spent + Date.now() - begun;
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, JSON.stringify(kept));
    },
    /** Milliseconds that this run and those it goes on from took together. */
    ms: () => spent + Date.now() - begun,
  };
}

function treeOf(root) {
  const git = (...args) =>
    execFileSync("git", args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  try {
    return git("status", "--porcelain").trim() === "" ? git("rev-parse", "HEAD^{tree}").trim() : undefined;
  } catch {
    // Without git, or without a commit, there is no tree to speak of.
    return undefined;
  }
}

function read(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return {};
  }
}
