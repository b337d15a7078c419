import { defineConfig, type ViteUserConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Files that are short and take long: without an earlier run vitest takes a file's size for its time. */
const LONG =
  /\/(simulation\/|faults\/|blocked_|conformance_|features_|promises_|codecs_process|examples\/killed|http\/many_dead|half_batches|operator_sizes|house\/(tools|readme|package)\.)/;

/** The files that take longest come first, so that no worker has one of them left when the others have none. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification): boolean => LONG.test(moduleId);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

/**
 * Settings of every suite. `scripts/test.mjs` says which folders run on which runtime and with which pool.
 * Tests wait for events; the timeouts only bound a test whose event never comes, on a machine that others use, too.
 */
const config: ViteUserConfig = defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    exclude: ["**/node_modules/**", "dist/**"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000 } },
    watch: false,
    passWithNoTests: false,
    dangerouslyIgnoreUnhandledErrors: false,
    allowOnly: false,
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    // Cases on servers wait for most of their time.
    maxConcurrency: 12,
  },
});

export default config;
