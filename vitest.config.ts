import { defineConfig, type ViteUserConfig } from "vitest/config";

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
    // Cases on servers wait for most of their time.
    maxConcurrency: 12,
  },
});

export default config;
