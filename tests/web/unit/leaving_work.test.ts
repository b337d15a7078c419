/** Functions of the program's, other than handlers, that close the relay which calls them. */
import { expect, test } from "vitest";
import { every, json, type Relay, reschedule, type StandardSchema } from "../../../mod.ts";
import { pipeline } from "../../../src/codecs/mod.ts";
import { asyncStore } from "../../../src/runtime.ts";
import { free, heard, rejection, running } from "../support/kit.ts";
import { withoutAsyncStore } from "../support/async_store.ts";
import { memoryPlace, type Place, type PlaceOptions } from "../support/place.ts";

type Jobs = Readonly<Record<"job", { readonly schema: StandardSchema<number>; readonly queue: string }>>;
type Use = NonNullable<PlaceOptions<Jobs>["use"]>;

/** A relay one of whose functions closes it once it is told to. */
interface Scene {
  readonly place: Place;
  readonly relay: Relay<Jobs>;
  /** From the next call on. */
  arm(): void;
  readonly order: string[];
}

/** Where a function of the program's stands. */
type Spot = "schema" | "apply" | "undo" | "dispatch before" | "dispatch after" | "run before" | "run after";

function scene(spot: Spot, options: PlaceOptions<Jobs> = {}): Scene {
  const place = memoryPlace();
  const order: string[] = [];
  let armed = false;
  const at = async (here: Spot): Promise<void> => {
    if (here !== spot || !armed) return;
    armed = false;
    order.push("begun");
    await relay.close();
    order.push("closed");
  };
  const schema: StandardSchema<number> = {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: async (value) => {
        await at("schema");
        return { value: value as number };
      },
    },
  };
  const filter = {
    id: "closing",
    secret: true,
    apply: async (bytes: Uint8Array) => {
      await at("apply");
      return bytes;
    },
    undo: async (bytes: Uint8Array) => {
      await at("undo");
      return bytes;
    },
  };
  const use: Use = [{
    ...(spot.startsWith("dispatch")
      ? {
        dispatch: (next) => async (jobs) => {
          await at("dispatch before");
          const answers = await next(jobs);
          await at("dispatch after");
          return answers;
        },
      }
      : {}),
    run: (next) => async () => {
      await at("run before");
      const outcome = await next();
      await at("run after");
      return outcome;
    },
  }];
  const codec = spot === "apply" || spot === "undo" ? { codec: pipeline(json, filter) } : {};
  const relay = place.relay<Jobs>({
    job: { schema: spot === "schema" ? schema : free<number>(), queue: "a", ...codec },
  }, {
    use,
    ...options,
  });
  return { place, relay, order, arm: () => void (armed = true) };
}

/** Whether a promise settles in a second of the fake clock, far below the time that any call has. */
async function settles({ runtime }: Place, promise: Promise<unknown>): Promise<boolean> {
  let over = false;
  const end = (): void => void (over = true);
  promise.then(end, end);
  await runtime.advance(1_000);
  return over;
}

const canTell = asyncStore() !== undefined;
const DISPATCHING = ["schema", "apply", "dispatch before", "dispatch after"] as const;

test.runIf(canTell).each(DISPATCHING)(
  "a dispatch whose function closes the relay (%s) is not waited for: it goes on, and then the transport closes",
  async (spot) => {
    const { place, relay, arm, order } = scene(spot);
    arm();
    const dispatched = relay.dispatch("job", 1);
    expect(await settles(place, dispatched)).toBe(true);
    expect(await settles(place, relay.close())).toBe(true);
    expect(order).toEqual(["begun", "closed"]);
    await expect(dispatched).resolves.toMatchObject({ status: "stored" });
    expect(await place.transport.info("a", { deadline: 1_000 })).toMatchObject({ waiting: 1 });
  },
);

test.runIf(canTell).each(DISPATCHING)(
  "a dispatch with options, after many others, whose function closes the relay (%s) is not waited for",
  async (spot) => {
    const { place, relay, arm, order } = scene(spot);
    const others = [1, 2, 3].map((n) => relay.dispatch("job", n));
    expect(await settles(place, Promise.all(others))).toBe(true);
    arm();
    const dispatched = relay.dispatch("job", 1, { id: "own", signal: AbortSignal.any([]) });
    expect(await settles(place, dispatched)).toBe(true);
    expect(order).toEqual(["begun", "closed"]);
    await expect(dispatched).resolves.toMatchObject({ status: "stored" });
  },
);

test.runIf(canTell).each(DISPATCHING)(
  "a dispatch of many whose function closes the relay (%s) is not waited for",
  async (spot) => {
    const { place, relay, arm, order } = scene(spot);
    arm();
    const dispatched = relay.dispatchMany([{ name: "job", payload: 1 }, { name: "job", payload: 2 }]);
    expect(await settles(place, dispatched)).toBe(true);
    expect(order).toEqual(["begun", "closed"]);
    await expect(dispatched).resolves.toHaveLength(2);
  },
);

test.runIf(canTell).each(["schema", "apply"] as const)(
  "a schedule that is stored, whose function closes the relay (%s), is not waited for",
  async (spot) => {
    const { place, relay, arm, order } = scene(spot);
    arm();
    const stored = relay.schedule("job", 1, { key: "hourly", when: every(3_600_000) });
    expect(await settles(place, stored)).toBe(true);
    expect(order).toEqual(["begun", "closed"]);
    await expect(stored).resolves.toBe("created");
  },
);

test.runIf(canTell).each(["schema", "undo"] as const)(
  "an operator's validation whose function closes the relay (%s) is not waited for",
  async (spot) => {
    const { place, relay, arm, order } = scene(spot);
    const stored = relay.dispatch("job", 1);
    expect(await settles(place, stored)).toBe(true);
    arm();
    const validated = relay.validate("a", "waiting");
    expect(await settles(place, validated)).toBe(true);
    expect(order).toEqual(["begun", "closed"]);
    await expect(validated).resolves.toMatchObject({ checked: 1, faults: [] });
  },
);

test.runIf(canTell).each(["schema", "undo", "run before", "run after"] as const)(
  "a run whose function closes the relay (%s) is not waited for: it goes on and is settled once",
  async (spot) => {
    const { place, relay, arm, order } = scene(spot);
    const events = ["stale", "released", "stuck", "retrying"] as const;
    const lost = events.map((type) => heard(relay.events, type));
    relay.handle("job", () => void order.push("handled"));
    relay.events.addEventListener("completed", () => order.push("completed"));
    const stored = relay.dispatch("job", 1);
    expect(await settles(place, stored)).toBe(true);
    arm();
    const work = running(relay);
    expect(await settles(place, work.done)).toBe(true);
    expect(await settles(place, relay.close())).toBe(true);
    expect(order.toSorted()).toEqual(["begun", "closed", "completed", "handled"]);
    expect(order.at(-1)).toBe("completed");
    expect(lost.flat()).toEqual([]);
  },
);

test.runIf(canTell).each(["schema", "apply"] as const)(
  "a run that is rescheduled with a payload, whose function closes the relay (%s), is not waited for",
  async (spot) => {
    const { place, relay, arm, order } = scene(spot);
    const rescheduled = heard(relay.events, "rescheduled");
    relay.handle("job", () => {
      arm();
      return reschedule(every(60_000), { payload: 2 });
    });
    const stored = relay.dispatch("job", 1);
    expect(await settles(place, stored)).toBe(true);
    const work = running(relay);
    expect(await settles(place, work.done)).toBe(true);
    expect(order).toEqual(["begun", "closed"]);
    expect(rescheduled.length).toBe(1);
  },
);

test.runIf(canTell)(
  "a settlement whose encryption of the error closes the relay is not waited for, and is stored",
  async () => {
    const { place, relay, arm, order } = scene("apply");
    const retrying = heard(relay.events, "retrying");
    relay.handle("job", () => {
      arm();
      throw new Error("fails");
    });
    const stored = relay.dispatch("job", 1);
    expect(await settles(place, stored)).toBe(true);
    const work = running(relay);
    expect(await settles(place, work.done)).toBe(true);
    expect(order).toEqual(["begun", "closed"]);
    expect(retrying.length).toBe(1);
  },
);

test.runIf(canTell).each(["dispatch before", "dispatch after"] as const)(
  "a tick of a schedule whose function closes the relay (%s) is not waited for, and is pushed",
  async (spot) => {
    const { place, relay, arm, order } = scene(spot);
    const ticks = heard(relay.events, "tick");
    const stored = relay.schedule("job", 1, { key: "often", when: every(10_000) });
    expect(await settles(place, stored)).toBe(true);
    const work = running(relay);
    arm();
    await place.runtime.advance(10_000);
    expect(await settles(place, work.done)).toBe(true);
    expect(order).toEqual(["begun", "closed"]);
    expect(ticks.length).toBe(1);
  },
);

test.runIf(canTell).each(["schema", "dispatch before", "run before"] as const)(
  "an inline dispatch whose function closes the relay (%s) is not waited for",
  async (spot) => {
    const { place, relay, arm, order } = scene(spot, { inline: true });
    relay.handle("job", () => void order.push("handled"));
    arm();
    const dispatched = relay.dispatch("job", 1);
    expect(await settles(place, dispatched)).toBe(true);
    expect(order).toEqual(["begun", "closed", "handled"]);
  },
);

test.runIf(canTell)("a function that closes the relay waits for the dispatches of others", async () => {
  const { place, relay, arm, order } = scene("dispatch before");
  const { transport } = place;
  arm();
  const closer = relay.dispatch("job", 1);
  const other = relay.dispatch("job", 2).then(() => order.push("stored"));
  expect(await settles(place, Promise.all([closer, other]))).toBe(true);
  expect(order).toEqual(["begun", "stored", "closed"]);
  expect(await transport.info("a", { deadline: 1_000 })).toMatchObject({ waiting: 2 });
});

test.runIf(canTell)(
  "middlewares of two relays that close each other's do not wait for each other",
  async () => {
    const [one, two] = [memoryPlace(), memoryPlace()];
    const job = { schema: free<number>(), queue: "a" };
    const closing = (other: () => Relay<Jobs>): Use => [{
      dispatch: (next) => async (jobs) => {
        await other().close();
        return await next(jobs);
      },
    }];
    const first: Relay<Jobs> = one.relay<Jobs>({ job }, { use: closing(() => second) });
    const second: Relay<Jobs> = two.relay<Jobs>({ job }, { use: closing(() => first) });
    const both = Promise.all([first.dispatch("job", 1), second.dispatch("job", 2)]);
    await two.runtime.advance(10);
    expect(await settles(one, both)).toBe(true);
    await expect(both).resolves.toMatchObject([{ status: "stored" }, { status: "stored" }]);
  },
);

/** Below the time that any call has, and above. */
const CALL = 10_000;

test.each(["schema", "apply", "dispatch before"] as const)(
  "where nothing tells what follows from what, a dispatch whose function closes the relay (%s) ends as late, and the relay closes",
  async (spot) => {
    withoutAsyncStore();
    const { place, relay, arm, order } = scene(spot);
    arm();
    const dispatched = rejection(relay.dispatch("job", 1));
    expect(await settles(place, dispatched)).toBe(false);
    await place.runtime.advance(CALL);
    expect(await settles(place, relay.close())).toBe(true);
    expect(order).toEqual(["begun", "closed"]);
    expect((await dispatched).message).toMatch(/Cannot (check|run|dispatch|encode)/);
  },
);

test.each(["schema", "undo"] as const)(
  "where nothing tells what follows from what, a run whose function closes the relay (%s) ends as late, is told, and the relay closes",
  async (spot) => {
    withoutAsyncStore();
    const { place, relay, arm, order } = scene(spot);
    const retrying = heard(relay.events, "retrying");
    relay.handle("job", () => void order.push("handled"));
    const stored = relay.dispatch("job", 1);
    expect(await settles(place, stored)).toBe(true);
    arm();
    const work = running(relay);
    expect(await settles(place, work.done)).toBe(false);
    await place.runtime.advance(CALL);
    expect(await settles(place, Promise.all([work.done, relay.close()]))).toBe(true);
    expect(order).toEqual(["begun", "closed"]);
    expect(retrying.map(({ error }) => error.message)).toEqual([
      expect.stringMatching(/within|did not|10,?000/),
    ]);
  },
);
