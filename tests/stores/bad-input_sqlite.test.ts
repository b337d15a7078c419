import { describe } from "vitest";
import { options } from "../web/bad-input/options.ts";
import { payloads } from "../web/bad-input/payloads.ts";
import { schedules } from "../web/bad-input/schedules.ts";
import { stored } from "../web/bad-input/stored.ts";
import { topics } from "../web/bad-input/topics.ts";
import { sqlitePlace } from "../server/support/place.ts";

describe("bad input, on SQLite", () => {
  options(sqlitePlace);
  payloads(sqlitePlace);
  schedules(sqlitePlace);
  stored(sqlitePlace);
  topics(sqlitePlace);
});
