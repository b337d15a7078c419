import { crashScenes } from "./scenes/crashed.ts";
import { openScene } from "./support/scene.ts";

crashScenes(() => openScene());
