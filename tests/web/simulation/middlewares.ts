/** Middlewares in a world: they hand everything on, some of it late, and what they add is stored and delivered. */
import { type AnyMiddleware, complete, type Middleware } from "../../../mod.ts";
import type { Ground } from "./ground.ts";

/** The longest wait behind a run, in milliseconds: a lease may end in it. */
const LONGEST = 700;

/** A list with both sides in each of its kinds: one that only passes on, one that adds, and one that takes its time. */
export function passingOn(
  { runtime, random, mood }: Pick<Ground, "runtime" | "random" | "mood">,
): readonly AnyMiddleware[] {
  const plain: Middleware = { run: (next) => () => next(), dispatch: (next) => (jobs) => next(jobs) };
  const adding: Middleware<{ passed: number }> = {
    run: (next) => () => next({ passed: 1 }),
    dispatch: (next) => (jobs) =>
      next(jobs.map((job) => ({ ...job, headers: { ...job.headers, passed: "1" } }))),
  };
  const late: Middleware = {
    run: (next) => async () => {
      try {
        return await next();
      } finally {
        const [kind, length] = [random(), random()];
        if (!mood.calm && kind < 0.3) await runtime.sleep(kind < 0.03 ? length * LONGEST : length * 20);
      }
    },
    dispatch: (next) => async (jobs) => await next(jobs),
  };
  return [plain, adding, late];
}

/** A fault that is planted among them: what a handler throws is swallowed, and its job is done. */
export const swallowing: Middleware = {
  run: (next) => async () => {
    try {
      return await next();
    } catch {
      return complete();
    }
  },
};
