/** Schedulers in several processes that are killed while they push the ticks of one schedule. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createRelay, every } from "../../../../mod.ts";
import { ALL } from "../../support/all.ts";
import { type Child, spawnScript } from "../../support/spawn.ts";
import type { TickerOrder } from "../fixtures/ticker.ts";
import { openStore, type Store } from "../fixtures/store.ts";
import { jobs, QUEUE } from "../fixtures/task.ts";

const PERIOD = 1_000;
const KEY = "each second";
/** The long form: sixty ticks, fifty schedulers in five processes, and a kill every ten seconds. */
const TICKS = ALL ? 60 : 12;
const PROCESSES = ALL ? 5 : 3;
const RELAYS = ALL ? 10 : 4;
/** A process is killed each time that so many ticks more are there. */
const KILL_EACH = ALL ? 10 : 3;
const MINUTE = 60_000;
/** The clocks of the processes, as far apart as minutes. */
const AHEAD = [0, 5 * MINUTE, -5 * MINUTE, 2 * MINUTE, -MINUTE];

/** Where the processes meet; `skewed`: by a server's clock, so that their own may be wrong. */
export interface TickGround {
  readonly store: (folder: string) => Store;
  readonly skewed: boolean;
}

export function tickScenes({ store: storeOf, skewed }: TickGround): void {
  test(
    `F129: ${
      PROCESSES * RELAYS
    } schedulers in ${PROCESSES} processes, of which one after the other is killed, push each of ${TICKS} ticks once`,
    async () => {
      const folder = mkdtempSync(join(tmpdir(), "relevo-ticks-"));
      const store = storeOf(folder);
      const relay = createRelay({ jobs, transport: openStore(store), log: false });
      const children: Child[] = [];
      onTestFinished(async () => {
        await Promise.all(children.map((child) => child[Symbol.asyncDispose]()));
        await relay.close();
        rmSync(folder, { recursive: true, force: true });
      });
      let started = 0;
      const start = (): void => {
        const ahead = skewed ? AHEAD[started++ % AHEAD.length] ?? 0 : 0;
        const order: TickerOrder = { store, relays: RELAYS, ahead };
        const script = new URL("../fixtures/ticker.ts", import.meta.url);
        children.push(spawnScript(script, [JSON.stringify(order)]));
      };

      await relay.schedule("task", { n: 0 }, { key: KEY, when: every(PERIOD), missed: "all" });
      for (let n = 0; n < PROCESSES; n++) start();
      for (let wanted = KILL_EACH; wanted < TICKS; wanted += KILL_EACH) {
        await waiting(relay, wanted);
        const victim = children.shift();
        victim?.kill("SIGKILL");
        await victim?.exited;
        start();
      }
      await waiting(relay, TICKS);
      await relay.schedules.pause(KEY);
      await Promise.all(children.map((child) => child[Symbol.asyncDispose]()));

      const ticks: number[] = [];
      let cursor: string | undefined;
      do {
        const page = await relay.list(QUEUE, "waiting", { cursor });
        for (const { schedule, tick = 0 } of page.jobs) if (schedule === KEY) ticks.push(tick);
        cursor = page.cursor;
      } while (cursor !== undefined);
      ticks.sort((a, b) => a - b);
      expect(ticks.length).toBeGreaterThanOrEqual(TICKS);
      expect(ticks).toEqual(ticks.map((_, n) => (ticks[0] ?? 0) + n * PERIOD));
    },
    ALL ? 300_000 : 180_000,
  );
}

/** Waits until so many jobs are there. */
async function waiting(
  relay: { info(queue: string): Promise<{ readonly waiting: number }> },
  wanted: number,
): Promise<void> {
  await expect.poll(
    async () => (await relay.info(QUEUE).catch(() => ({ waiting: 0 }))).waiting,
    { interval: 100, timeout: 60_000 },
  ).toBeGreaterThanOrEqual(wanted);
}
