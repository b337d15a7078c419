import { killScenes } from "./scenes/killed.ts";
import { openScene } from "./support/scene.ts";

killScenes(() => openScene());
