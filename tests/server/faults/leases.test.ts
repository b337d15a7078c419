import { leaseScenes } from "./scenes/leases.ts";
import { openScene } from "./support/scene.ts";

leaseScenes(() => openScene());
