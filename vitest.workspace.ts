import { readdirSync } from "node:fs"
import { defineConfig } from "vitest/config"

/** Test files that nothing may run beside: they measure, or have a time limit. */
const ALONE: { readonly [name: string]: ReadonlyArray<string> } = {
  bench: ["test/bench.test.ts", "test/cadence.test.ts", "test/memory.test.ts"],
  cli: ["test/faultFlags.test.ts", "test/stdout.test.ts"]
}

/** How many files at a time. The tests of a package with more have less to do, or less that must be in time. */
const WORKERS: { readonly [name: string]: number } = { alicat: 4, core: 3, sinks: 3, sqlite: 3 }

/** Projects of one order run together, so many files at a time. */
const project = (name: string, root: string, groupOrder: number, maxWorkers: number, files: object) => ({
  extends: true as const,
  root,
  test: {
    name,
    // Processes and ports, on a machine that is busy with other things.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    sequence: { groupOrder },
    maxWorkers,
    // A test of a device waits for it most of the time.
    maxConcurrency: maxWorkers === 4 ? 12 : 5,
    ...files
  }
})

export default defineConfig({
  test: {
    projects: readdirSync("packages").flatMap((name) => {
      const root = `packages/${name}`
      const alone = ALONE[name] ?? []
      const workers = WORKERS[name] ?? 2
      const together = project(name, root, 4 - workers, workers, {
        include: ["test/**/*.test.ts"],
        exclude: [...alone]
      })
      return alone.length === 0 ? [together] : [together, project(`${name} alone`, root, 3, 1, { include: [...alone] })]
    }),
    silent: "passed-only"
  }
})
