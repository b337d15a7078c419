/** What versions of payloads compile with. */
import * as v from "valibot";
import {
  createRelay,
  type Fitting,
  from,
  type JobDefinition,
  type Jobs,
  type Relay,
  type Upcast,
} from "../../mod.ts";
import { type Relays, relays } from "../../src/config/mod.ts";
import { holds, type Same } from "./support.ts";

interface V1 {
  readonly name: string;
}
interface V2 {
  readonly names: readonly string[];
}
const schema = v.object({ first: v.string(), last: v.string() });

// Each step gets what the one before gave.
const upcast = from(1, (old: V1): V2 => ({ names: old.name.split(" ") }))
  .step((old) => {
    holds<Same<typeof old, V2>>();
    return { first: old.names[0] ?? "", last: old.names[1] ?? "" };
  });
// @ts-expect-error: a V2 has no name
from(1, (old: V1): V2 => ({ names: [old.name] })).step((old) => old.name);
// @ts-expect-error: there is no version to go on from
from(3).step((old: V2) => old);
// @ts-expect-error: the first version is a number
from("1", (old: V1) => old);

// The last must give what the schema takes, where it is written at once.
createRelay({ jobs: { greet: { schema, upcast } } });
createRelay({ jobs: { greet: { schema, upcast: from(3) } } });
createRelay({
  jobs: { greet: { schema, upcast: from(2, (old: V2) => ({ first: old.names[0] ?? "", last: "" })) } },
});
// @ts-expect-error: the last name is missing
createRelay({ jobs: { greet: { schema, upcast: from(2, (old: V2) => ({ first: old.names[0] ?? "" })) } } });
const late = from(1, (_: V1) => Promise.resolve({ first: "", last: "" }));
// @ts-expect-error: a promise is no payload
createRelay({ jobs: { greet: { schema, upcast: late } } });

// And where the jobs are declared apart.
const fitting = { greet: { schema, upcast }, other: v.string() };
createRelay({ jobs: fitting });
const misfit = {
  greet: { schema, upcast: from(1, (old: V1): V2 => ({ names: [old.name] })) },
  other: v.string(),
};
// @ts-expect-error: a V2 is not what the schema takes
createRelay({ jobs: misfit });
const satisfying = { greet: { schema, upcast: from(1, (old: V1) => old) } } satisfies Jobs;
// @ts-expect-error: a V1 is not what the schema takes
createRelay({ jobs: satisfying });
const constant = { greet: { schema, upcast: from(1, (old: V1) => old) } } as const;
// @ts-expect-error: a V1 is not what the schema takes
createRelay({ jobs: constant });
const definition: JobDefinition<typeof schema> = { schema, upcast };
createRelay({ jobs: { greet: definition } });
// @ts-expect-error: a V1 is not what the schema takes
const wrong: JobDefinition<typeof schema> = { schema, upcast: from(1, (old: V1) => old) };

// Relays by configuration ask the same of their jobs.
const configured = relays({ jobs: fitting });
holds<Same<typeof configured, Relays<typeof fitting>>>();
relays({ jobs: { greet: { schema, upcast } } });
// @ts-expect-error: the last name is missing
relays({ jobs: { greet: { schema, upcast: from(2, (old: V2) => ({ first: old.names[0] ?? "" })) } } });
// @ts-expect-error: a V2 is not what the schema takes
relays({ jobs: misfit });
// @ts-expect-error: a V1 is not what the schema takes
relays({ jobs: satisfying });

// It is the schema's input that counts, not what a handler gets.
const when = v.object({ at: v.pipe(v.string(), v.transform((text) => new Date(text))) });
createRelay({
  jobs: { remind: { schema: when, upcast: from(1, (old: { day: string }) => ({ at: old.day })) } },
});
const dated = from(1, (old: { day: string }) => ({ at: new Date(old.day) }));
// @ts-expect-error: the schema takes a text
createRelay({ jobs: { remind: { schema: when, upcast: dated } } });

// A function of a program's own that makes relays says the same of its jobs.
function make<const J extends Jobs>(jobs: J & Fitting<J>): Relay<J> {
  return createRelay<J>({ jobs });
}
make(fitting);
// @ts-expect-error: a V2 is not what the schema takes
make(misfit);

holds<Same<typeof upcast extends Upcast<{ first: string; last: string }> ? true : false, true>>();
export const used: unknown = wrong;
