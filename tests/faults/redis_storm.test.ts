import { expect, test } from "vitest";
import { JOBS, printStorm, weather } from "../server/faults/scenes/storm.ts";
import { sceneOn } from "../server/faults/support/ground.ts";
import { now } from "../server/faults/support/ledger.ts";
import { untilStruck } from "../server/faults/support/scene.ts";
import { redisGround } from "./support/grounds.ts";

const LEASE = 2_000;

const ground = await redisGround();
const { server } = ground;
const restart = {
  what: "Redis restarted",
  async strike() {
    await server.stop();
    const gone = now();
    await server.start();
    return gone;
  },
};
const kill = {
  what: "Redis killed",
  async strike() {
    await server.kill();
    const gone = now();
    await server.start();
    return gone;
  },
};

test(
  "10,000 jobs outlive a Redis that is restarted twice and killed once, and a worker killed every second",
  async () => {
    const aftermath = await untilStruck(() =>
      weather({ scene: sceneOn(ground, LEASE), lease: LEASE, strikes: [restart, kill, restart] })
    );
    expect(aftermath.runs.ends.size).toBe(JOBS);
    printStorm("a storm on Redis", aftermath);
  },
  600_000,
);
