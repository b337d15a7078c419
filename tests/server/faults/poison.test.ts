import { poisonScenes } from "./scenes/poison.ts";
import { openScene } from "./support/scene.ts";

poisonScenes(() => openScene());
