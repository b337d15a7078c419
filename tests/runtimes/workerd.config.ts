import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig, type ViteUserConfig } from "vitest/config";

/** The web suite inside workerd. It lives here, as the plugin is installed with the runtimes. */
const config: ViteUserConfig = defineConfig({
  plugins: [
    cloudflareTest({ miniflare: { compatibilityDate: "2026-07-01", compatibilityFlags: ["nodejs_compat"] } }),
  ],
  test: {
    include: ["tests/web/**/*.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000 } },
    watch: false,
    passWithNoTests: false,
    dangerouslyIgnoreUnhandledErrors: false,
    allowOnly: false,
    maxWorkers: 2,
    // Starting a workerd takes longer than most files: those of a worker share one, and nothing at module scope.
    isolate: false,
  },
});

export default config;
