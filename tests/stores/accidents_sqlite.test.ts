import { describe } from "vitest";
import { leases } from "../web/accidents/leases.ts";
import { limits } from "../web/accidents/limits.ts";
import { sqlitePlace } from "../server/support/place.ts";

describe("accidents that others had, on SQLite", () => {
  leases(sqlitePlace);
  limits(sqlitePlace);
});
