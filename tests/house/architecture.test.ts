import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { inRepository } from "../../scripts/lib/paths.mjs";
import { rooms } from "./floors.ts";

test("docs/architecture.md names the rooms that the floors have, in their order, and what each may import", () => {
  const page = readFileSync(inRepository("docs/architecture.md"), "utf8");
  const table = page.split("| room | files | may import |\n")[1]?.split("\n\n")[0] ?? "";
  const rows = table.split("\n").slice(1).map((row) => row.slice(2, -2).split(" | "));
  const told = rows.map(([name, , uses]) => ({ name, uses }));
  const wanted = rooms.map(({ name, uses }) => ({ name, uses: uses.join(", ") || "nothing" }));
  expect(told).toEqual(wanted);
});
