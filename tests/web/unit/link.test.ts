import { expect, test } from "vitest";
import { createEvents } from "../../../src/events/events.ts";
import { createLink } from "../../../src/worker/link.ts";
import { heard } from "../support/kit.ts";

function states(script: (link: ReturnType<typeof createLink>) => void): readonly string[] {
  const events = createEvents(() => undefined);
  const told = heard(events.target, "connection");
  script(createLink(events, () => 0.5, () => {}));
  return told.map(({ state }) => state);
}

const gone = new Error("gone");

test("each change is told once", () => {
  expect(states((link) => {
    link.up(true);
    for (let n = 0; n < 3; n++) link.down(gone, n === 1);
    for (let n = 0; n < 3; n++) link.up(true);
    link.down(gone, false);
  })).toEqual(["down", "up", "down"]);
});

test("a link whose reserve failed is up when the next finds nothing", () => {
  expect(states((link) => {
    link.down(gone, false);
    link.up(false);
  })).toEqual(["down", "up"]);
});

test("a link whose settlement failed stays down while a reserve finds nothing, as a locked file can be read", () => {
  expect(states((link) => {
    link.down(gone, true);
    link.up(false);
    link.down(gone, true);
    link.up(false);
    link.up(true);
  })).toEqual(["down", "up"]);
});
