import { describe } from "vitest";
import { FEATURES } from "../web/features/features.ts";
import { sqlitePlace } from "../server/support/place.ts";

describe("on SQLite", () => {
  for (const feature of FEATURES) feature(sqlitePlace);
});
