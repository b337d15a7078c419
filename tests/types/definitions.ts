/** F001: an option of a definition that does not exist does not compile, wherever the jobs are declared. */
import * as v from "valibot";
import { createRelay, type Fitting, type JobDefinition, type Jobs, type Relay } from "../../mod.ts";
import { relays } from "../../src/config/mod.ts";

const schema = v.object({ to: v.string() });

createRelay({ jobs: { mail: { schema, maxAttempts: 3 } } });
// @ts-expect-error: a slip of the pen
createRelay({ jobs: { mail: { schema, maxAttemps: 3 } } });
createRelay({
  jobs: { mail: { schema, queue: "mail", aliases: ["post"], timeout: undefined }, other: schema },
});
// @ts-expect-error: BullMQ's word, beside a sound definition
createRelay({ jobs: { other: schema, mail: { schema, attempts: 3 } } });

// Declared apart, where no compiler looks for surplus keys by itself.
const sound = { mail: { schema, maxAttempts: 3 }, other: schema };
createRelay({ jobs: sound });
const misspelt = { mail: { schema, maxAttemps: 3 }, other: schema };
// @ts-expect-error: a slip of the pen
createRelay({ jobs: misspelt });
const constant = { mail: { schema, maxAttemps: 3 } } as const;
// @ts-expect-error: a slip of the pen
createRelay({ jobs: constant });

// A type that is wider than what is written says nothing of surplus keys.
const definition: JobDefinition<typeof schema> = { schema, maxAttempts: 3 };
createRelay({ jobs: { mail: definition } });
const many: Jobs = sound;
createRelay({ jobs: many });
const record: Readonly<Record<string, JobDefinition>> = { mail: definition };
createRelay({ jobs: record });

// Relays by configuration refuse the same.
relays({ jobs: sound });
// @ts-expect-error: a slip of the pen
relays({ jobs: misspelt });

// A function of a program's own that makes relays says the same of its jobs.
function make<const J extends Jobs>(jobs: J & Fitting<J>): Relay<J> {
  return createRelay<J>({ jobs });
}
make(sound);
make({ mail: { schema, maxAttempts: 3 } });
// @ts-expect-error: a slip of the pen
make({ mail: { schema, maxAttemps: 3 } });
