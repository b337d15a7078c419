import { join } from "node:path";
import { tickScenes } from "./scenes/ticks.ts";

tickScenes({ store: (folder) => ({ kind: "sqlite", path: join(folder, "jobs.db") }), skewed: false });
