import { readdirSync } from "node:fs"
import { defineConfig } from "vitest/config"

/** Tests of whole recordings by the clock: beside other tests they would miss their slots. */
const TIMED = ["cli"]

export default defineConfig({
  test: {
    projects: readdirSync("packages").map((name) => {
      const isTimed = TIMED.includes(name)
      return {
        extends: true,
        root: `packages/${name}`,
        test: {
          name,
          // Processes and ports, on a machine that is busy with other things.
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // Projects of one order run together. The timed ones run after the others, one file at a time.
          sequence: { groupOrder: isTimed ? 1 : 0 },
          maxWorkers: isTimed ? 1 : 2
        }
      }
    }),
    silent: "passed-only"
  }
})
