import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ask, count, fill, finish, kept, makePlace, type Place, start, stopAt } from "./support.ts";

const FILES = 1_500;
const RESULTS = "SELECT count(*) FROM results";
const DEAD = "SELECT count(*) FROM relevo_jobs WHERE reason IS NOT NULL";
const IN_HAND = "SELECT reserved FROM relevo_queues WHERE queue = 'files'";

function makeFullPlace(): Place {
  const place = makePlace();
  fill(place.folder, FILES);
  for (let index = 0; index < 5; index++) symlinkSync("nowhere", join(place.folder, `dangling ${index}`));
  return place;
}

/** Kills a start while it dispatches. It may be too quick for that, and is made to begin anew then. */
async function killDispatching(place: Place): Promise<void> {
  for (;;) {
    const child = start(place, [place.folder, "--fresh"]);
    await child.until((line) => line.startsWith("dispatched"));
    child.kill("SIGKILL");
    expect((await child.exited).signal).toBe("SIGKILL");
    if (ask(place, "SELECT listed FROM runs")[0]?.listed === 0) return;
  }
}

/**
 * Kills a run while it dispatches and twice while it handles; how many jobs the kills had in hand, or undefined where this
 * process was so late that a start had nearly ended.
 */
async function killThrice(place: Place): Promise<number | undefined> {
  await killDispatching(place);
  expect(count(place, RESULTS)).toBe(0);
  let inHand = 0;
  for (const percent of [20, 50]) {
    await stopAt(start(place), percent, "SIGKILL");
    // What is dead has ended too, and counts in what the run says of itself.
    const done = count(place, RESULTS) + count(place, DEAD);
    expect(done).toBeGreaterThanOrEqual(FILES * 0.2);
    if (done >= FILES * 0.8) return undefined;
    inHand += count(place, IN_HAND);
  }
  return inHand;
}

/** A run that was stopped by two signals; undefined where this process was so late that a start had ended by then. */
async function stopTwice(): Promise<Place | undefined> {
  const place = makeFullPlace();
  const stops = [["SIGINT", 20, 130], ["SIGTERM", 50, 143]] as const;
  for (const [signal, percent, code] of stops) {
    const stopped = await stopAt(start(place), percent, signal);
    if (stopped.code === 0) return undefined;
    expect(stopped.lines.at(-1)).toBe(`Stopped by ${signal}. Start it again, and it does the rest.`);
    expect(stopped.errors).toBe("");
    expect(stopped.code).toBe(code);
    expect(count(place, RESULTS)).toBeLessThan(FILES);
    expect(count(place, IN_HAND)).toBe(0);
  }
  return place;
}

test(
  "a run that is killed while it dispatches and twice while it handles ends like one that was not",
  async () => {
    const place = makeFullPlace();
    const undisturbed = await finish(start(place));
    expect(undisturbed.code, undisturbed.errors).toBe(0);
    const wanted = kept(place);
    expect(wanted.results).toHaveLength(FILES);
    expect(wanted.dead).toHaveLength(5);

    let inHand: number | undefined;
    while (inHand === undefined) inHand = await killThrice(place);

    const last = await finish(start(place));
    expect(last.code, last.errors).toBe(0);
    expect(last.lines[0]).toContain("Continuing run 1");
    expect(kept(place)).toEqual(wanted);
    for (const row of ["files", "bytes", "bytes as gzip", "duplicates", "dead", "retries"]) {
      expect(last.table[row]).toBe(undisturbed.table[row]);
    }
    expect(undisturbed.table["runs repeated"]).toMatch(/^0 /);
    const repeated = Number(last.table["runs repeated"]?.split(" ")[0]?.replaceAll(",", ""));
    expect(repeated).toBeGreaterThan(0);
    expect(repeated).toBeLessThanOrEqual(inHand);
  },
  120_000,
);

test("a run that is asked to stop says so, and is continued without a repeated run", async () => {
  let place: Place | undefined;
  while (place === undefined) place = await stopTwice();
  const last = await finish(start(place));
  expect(last.code, last.errors).toBe(0);
  expect(last.lines).toContain("Run 1, 3 starts:");
  expect(last.table.files).toBe("1,500");
  expect(last.table["runs repeated"]).toMatch(/^0 /);

  const next = await finish(start(place));
  expect(next.lines[0]).toContain("Beginning run 2");
  expect(next.table.files).toBe("1,500");
  expect(next.table.dead).toBe("5");
}, 120_000);

test("two processes share a run, and no file is measured twice", async () => {
  const place = makeFullPlace();
  const first = start(place);
  await first.until((line) => line.startsWith("handled"));
  const [one, two] = await Promise.all([finish(first), finish(start(place))]);
  for (const { code, errors, table } of [one, two]) {
    expect(code, errors).toBe(0);
    expect(table.files).toBe("1,500");
    expect(table["runs repeated"]).toMatch(/^0 /);
  }
}, 120_000);
