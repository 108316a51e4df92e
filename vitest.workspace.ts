import { readdirSync } from "node:fs"
import * as path from "node:path"
import { defineConfig } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"

// Hundreds of processes run the same code: test files, programs of the READMEs, the command. They inherit where it lies compiled.
process.env["NODE_COMPILE_CACHE"] ??= path.join(import.meta.dirname, "node_modules/.cache/compiled")

/** Files that run in one turn, so many at a time, and in each so many tests at a time. */
interface Turn {
  readonly groupOrder: number
  readonly maxWorkers: number
  readonly maxConcurrency: number
  /** Whether each file has a process of its own. Without it modules are loaded once for many files. */
  readonly isolate: boolean
}

/** A test waits for a device most of the time. */
const WAITING: Turn = { groupOrder: 0, maxWorkers: 4, maxConcurrency: 12, isolate: true }
/** Little must be in time. */
const UNTIMED: Turn = { groupOrder: 1, maxWorkers: 3, maxConcurrency: 5, isolate: false }
const TIMED: Turn = { groupOrder: 2, maxWorkers: 3, maxConcurrency: 5, isolate: false }
/** What has a time limit. Mostly it waits. */
const LIMITED: Turn = { groupOrder: 3, maxWorkers: 2, maxConcurrency: 5, isolate: true }
/** What measures. */
const MEASURING: Turn = { groupOrder: 4, maxWorkers: 1, maxConcurrency: 5, isolate: true }

const TURNS: { readonly [name: string]: Turn } = {
  alicat: WAITING,
  core: UNTIMED,
  files: UNTIMED,
  sinks: UNTIMED,
  sqlite: UNTIMED,
  view: UNTIMED
}

/** Test files that do not run beside the others of their package. */
const ALONE: { readonly [name: string]: readonly [turn: Turn, files: ReadonlyArray<string>] } = {
  bench: [MEASURING, ["test/bench.test.ts", "test/cadence.test.ts", "test/memory.test.ts"]],
  cli: [LIMITED, ["test/faultFlags.test.ts", "test/stdout.test.ts"]]
}

const project = (name: string, root: string, { groupOrder, ...limits }: Turn, files: object) => ({
  extends: true as const,
  root,
  test: {
    name,
    // Processes and ports, on a machine that is busy with other things.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    sequence: { groupOrder },
    ...limits,
    ...files
  }
})

/** The longest files of their turns. */
const LONG = ["view/test/page.test.ts", "cli/test/readme.test.ts", "cli/test/pack.test.ts"]

/** Begins with the longest files, so that none of them is waited for alone. Otherwise the order is the usual one. */
class LongFirst extends BaseSequencer {
  override sort(files: Array<TestSpecification>) {
    const rank = ({ moduleId, project }: TestSpecification) =>
      2 * project.config.sequence.groupOrder - Number(LONG.some((name) => moduleId.endsWith(name)))
    // oxlint-disable-next-line unicorn/no-array-sort -- this is no array
    return super.sort(files).then((sorted) => sorted.toSorted((a, b) => rank(a) - rank(b)))
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongFirst },
    projects: readdirSync("packages").flatMap((name) => {
      const root = `packages/${name}`
      const [turn, alone] = ALONE[name] ?? [TIMED, []]
      const together = project(name, root, TURNS[name] ?? TIMED, {
        include: ["test/**/*.test.ts"],
        exclude: [...alone]
      })
      return alone.length === 0 ? [together] : [together, project(`${name} alone`, root, turn, { include: [...alone] })]
    }),
    silent: "passed-only"
  }
})
