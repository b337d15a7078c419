import { expect, test } from "vitest";
import { createEvents } from "../../../src/events/events.ts";
import { MetaReader } from "../../../src/jobs/record.ts";
import { createLink } from "../../../src/worker/link.ts";
import { Run } from "../../../src/worker/run.ts";
import { bytes, heard } from "../support/kit.ts";

function states(script: (link: ReturnType<typeof createLink>) => void): readonly string[] {
  const events = createEvents(() => undefined);
  const told = heard(events.target, "connection");
  script(createLink(events, () => 0.5, () => {}));
  return told.map(({ state }) => state);
}

function someRun(): Run {
  const delivery = {
    id: "1",
    name: "n",
    queue: "q",
    token: "t",
    payload: bytes(1),
    meta: "",
    lost: 0,
    lease: 1,
    due: 0,
    reset: false,
  };
  return new Run(delivery, new MetaReader());
}

const gone = new Error("gone");
const [first, second] = [someRun(), someRun()];

test("each change is told once", () => {
  expect(states((link) => {
    link.up(first, true);
    for (let n = 0; n < 3; n++) link.down(n === 1 ? first : "look", gone);
    for (let n = 0; n < 3; n++) link.up("look", true);
    for (let n = 0; n < 3; n++) link.up(first, true);
    link.down("look", gone);
  })).toEqual(["down", "up", "down"]);
});

test("a link whose reserve failed is up when the next finds nothing", () => {
  expect(states((link) => {
    link.down("look", gone);
    link.up("look", false);
  })).toEqual(["down", "up"]);
});

test("a link whose settlement failed stays down while a reserve finds nothing, as a locked file can be read", () => {
  expect(states((link) => {
    link.down(first, gone);
    link.up("look", false);
    link.down(first, gone);
    link.up("look", false);
    link.up(first, true);
  })).toEqual(["down", "up"]);
});

test("a link is down until all that failed works again, whatever else works meanwhile", () => {
  expect(states((link) => {
    link.down(first, gone);
    link.down("look", gone);
    link.up(second, true);
    link.up(first, true);
    link.up(second, true);
    link.up("look", false);
  })).toEqual(["down", "up"]);
});

test("a run that is over holds a link down no longer than until the next that is settled", () => {
  expect(states((link) => {
    link.down(first, gone);
    link.leave(first);
    link.up("look", false);
    link.up(second, true);
  })).toEqual(["down", "up"]);
});
