import { delayedScenes } from "../server/faults/scenes/delayed.ts";
import { linkScenes } from "../server/faults/scenes/link.ts";
import { movedClockScenes } from "../server/faults/scenes/moved_clock.ts";
import { outageScenes } from "../server/faults/scenes/outage.ts";
import { natsGround } from "./support/grounds.ts";

const ground = await natsGround();

outageScenes(ground);
linkScenes(ground);
movedClockScenes(ground);
delayedScenes(ground);
