/**
 * Shows the figures that `npm run bench -- --json` has printed: as a chart, and as a table in a README.
 *
 *     node packages/bench/src/chart.ts results.json throughput.svg README.md
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, FileSystem } from "effect"
import { Argument, Command } from "effect/cli"
import { readmeTable, withTable } from "./readmeTable.ts"
import { decodeRows } from "./results.ts"
import { throughputChart } from "./throughputChart.ts"

const chart = Command.make("chart", {
  results: Argument.File("results", { mustExist: true }),
  svg: Argument.File("svg"),
  readme: Argument.File("readme", { mustExist: true })
}, ({ readme, results, svg }) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const rows = (yield* decodeRows(yield* files.readFileString(results))).filter(({ fields }) => fields === 7)
    yield* files.writeFileString(svg, `${yield* throughputChart(rows)}\n`)
    yield* files.writeFileString(readme, withTable(yield* files.readFileString(readme), readmeTable(rows)))
  }))

Command.run(chart, { version: "0.1.0" }).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
