import { crashScenes } from "../server/faults/scenes/crashed.ts";
import { killScenes } from "../server/faults/scenes/killed.ts";
import { leaseScenes } from "../server/faults/scenes/leases.ts";
import { poisonScenes } from "../server/faults/scenes/poison.ts";
import { tickScenes } from "../server/faults/scenes/ticks.ts";
import { sceneOn } from "../server/faults/support/ground.ts";
import { natsGround } from "./support/grounds.ts";

const ground = await natsGround();
const open = (lease: number) => sceneOn(ground, lease);

crashScenes(open);
killScenes(open);
leaseScenes(open);
poisonScenes(open);
tickScenes({ store: () => ground.store(1_000, ground.server.port), skewed: true });
