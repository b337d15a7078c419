import { expect, test } from "vitest";
import { CALL_MUTANTS } from "../mutants/calls.ts";
import { FENCE_MUTANTS } from "../mutants/fence.ts";
import type { Mutant } from "../mutants/mutants.ts";
import { STORAGE_MUTANTS } from "../mutants/storage.ts";
import { TOPIC_MUTANTS } from "../mutants/topics.ts";
import { changingPlaces } from "./filters.ts";
import { swallowing } from "./middlewares.ts";
import { play } from "./play.ts";

/** The same worlds everywhere, and fewer in workerd, where a turn of the event loop takes ten times as long. */
const SEEDS = globalThis.navigator?.userAgent === "Cloudflare-Workers" ? 60 : 200;
const GROUP = 20;
/** Seeds that a planted fault has to be found by. */
const ENOUGH = 150;
/** Lines of a broken history that are printed. */
const TAIL = 40;

for (let from = 1; from <= SEEDS; from += GROUP) {
  test(`no promise is broken by seeds ${from} to ${from + GROUP - 1}`, async () => {
    for (let seed = from; seed < from + GROUP; seed++) {
      const { broken, history } = await play(seed);
      if (broken.length === 0) continue;
      const tail = history.slice(-TAIL).map((line) => JSON.stringify(line)).join("\n");
      expect.fail(`seed ${seed} breaks ${broken.slice(0, 5).join("\n")}\n${tail}`);
    }
  });
}

/** Faults of transports, and the invariant that a history of each breaks. */
const PLANTED: Readonly<Record<string, string>> = {
  "no fence: a late settle acts on whoever holds the job now": "S6",
  "no fence: a late extend keeps the lease of whoever holds the job now": "S6",
  "settle by id: done removes whatever has the id": "S1",
  "a release gives its token to the next delivery": "S6",
  "leases are half as long as they were granted": "S5",
  "delays are cut to whole seconds": "S9",
  "ids are never freed": "S11",
  "ids are never held": "S11",
  "the second of two equal ids in a batch is swallowed as stored": "S1",
  "delayed jobs of the same payload are merged": "S1",
  "again without a payload stores none": "S2",
  "a flush of one dead channel takes the other too": "S16",
  "a flush takes every queue": "S18",
  "a reload forgets that a full life was asked for": "S8",
  "info forgets reserved jobs": "S4",
  "groups share one copy: the first that is done ends the job for all": "S1",
};

/** Handlers that fail at once are late only where a filter is. */
const LATE = "no fence: a late settle acts on whoever holds the job now";

const MUTANTS: readonly Mutant[] = [...FENCE_MUTANTS, ...STORAGE_MUTANTS, ...CALL_MUTANTS, ...TOPIC_MUTANTS];

for (const [fault, invariant] of Object.entries(PLANTED)) {
  test(`some seed finds by ${invariant}: ${fault}`, async () => {
    const mutant = MUTANTS.find((one) => one.fault === fault);
    if (mutant === undefined) throw new Error(`No mutant is called '${fault}'`);
    for (let seed = 1; seed <= ENOUGH; seed++) {
      const { broken } = await play(seed, mutant.wrap);
      if (broken.some((line) => line.startsWith(`${invariant} `))) return;
    }
    expect.fail(`none of ${ENOUGH} seeds found it`);
  }, 300_000);
}

test("some seed finds that jobs change places while their filters run", async () => {
  for (let seed = 10; seed <= ENOUGH; seed += 10) {
    const { broken } = await play(seed, undefined, { plant: changingPlaces });
    if (broken.some((line) => line.startsWith("places: "))) return;
  }
  expect.fail("no ordered seed found it");
}, 300_000);

test("some seed finds by S1 that a middleware swallows what a handler throws", async () => {
  for (let seed = 1; seed <= ENOUGH; seed++) {
    const { broken } = await play(seed, undefined, { middlewares: true, use: [swallowing] });
    if (broken.some((line) => line.startsWith("S1 ") && line.endsWith("whose run failed"))) return;
  }
  expect.fail(`none of ${ENOUGH} seeds found it`);
}, 300_000);

test("some seed finds by S6 that a filter's late answer settles a lost lease", async () => {
  const mutant = MUTANTS.find(({ fault }) => fault === LATE);
  if (mutant === undefined) throw new Error(`No mutant is called '${LATE}'`);
  for (let seed = 1; seed <= ENOUGH; seed++) {
    if (seed % 10 === 0) continue;
    const { broken } = await play(seed, mutant.wrap, { filters: true, instant: true });
    if (broken.some((line) => line.startsWith("S6 "))) return;
  }
  expect.fail(`none of ${ENOUGH} seeds found it`);
}, 300_000);
