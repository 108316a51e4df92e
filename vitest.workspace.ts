import { readdirSync } from "node:fs"
import { defineConfig } from "vitest/config"

/** Test files that nothing may run beside: some have a time limit, others build the command anew. */
const ALONE: { readonly [name: string]: ReadonlyArray<string> } = {
  bench: ["test/bench.test.ts", "test/cadence.test.ts", "test/memory.test.ts"],
  cli: ["test/faultFlags.test.ts", "test/readme.test.ts", "test/stdout.test.ts"]
}

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
    ...files
  }
})

export default defineConfig({
  test: {
    projects: readdirSync("packages").flatMap((name) => {
      const root = `packages/${name}`
      const alone = ALONE[name] ?? []
      const together = project(name, root, 0, 2, { include: ["test/**/*.test.ts"], exclude: [...alone] })
      return alone.length === 0 ? [together] : [together, project(`${name} alone`, root, 1, 1, { include: [...alone] })]
    }),
    silent: "passed-only"
  }
})
