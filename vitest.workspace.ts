import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    projects: ["packages/*"],
    // Recordings are timed: tests that run beside each other would take each other's slots.
    fileParallelism: false,
    silent: "passed-only"
  }
})
