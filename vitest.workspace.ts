import { readdirSync } from "node:fs"
import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    projects: readdirSync("packages").map((name) => ({
      extends: true,
      root: `packages/${name}`,
      test: {
        name,
        // Processes and ports, on a machine that is busy with other things.
        testTimeout: 120_000,
        hookTimeout: 120_000
      }
    })),
    // Recordings are timed: tests that run beside each other would take each other's slots.
    fileParallelism: false,
    silent: "passed-only"
  }
})
