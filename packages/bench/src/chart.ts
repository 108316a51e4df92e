/**
 * Shows what `npm run bench -- --json` has printed: a chart of what each sink takes beside what the machine can do, and the same
 * figures as a table between two marks of a README.
 *
 *     node packages/bench/src/chart.ts results.json throughput.svg README.md
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, FileSystem } from "effect"
import { Argument, Command } from "effect/cli"
import { parse, View } from "vega"
import { compile } from "vega-lite"
import { daysAMinute, decodeRows, type Measured, pathOf } from "./results.ts"

/** On a logarithmic scale. */
const chartOf = (rows: ReadonlyArray<Measured>): Promise<string> => {
  const bars = rows.flatMap((row) => {
    const path = pathOf(row)
    return [
      { path, what: "sampleline", samples: Math.round(row.samplesPerSecond) },
      { path, what: "the machine's limit", samples: Math.round(row.limitPerSecond) }
    ]
  })
  const { spec } = compile({
    title: "Samples a second, seven fields each",
    width: 520,
    data: { values: bars },
    mark: "bar",
    encoding: {
      y: { field: "path", type: "nominal", title: null, sort: null },
      yOffset: { field: "what" },
      x: { field: "samples", type: "quantitative", scale: { type: "log", domainMin: 10_000 }, title: null },
      color: {
        field: "what",
        title: null,
        scale: { range: ["#2a6f97", "#c9d6df"] },
        legend: { orient: "bottom" }
      }
    },
    config: { font: "sans-serif", background: "white" }
  })
  return new View(parse(spec), { renderer: "none" }).toSVG()
}

const tableOf = (rows: ReadonlyArray<Measured>): string =>
  [
    "| sink | samples a second | of the machine's limit | recorded at 100 Hz, written in a minute |",
    "| --- | ---: | ---: | ---: |",
    ...rows.map((row) => {
      const samples = Number(row.samplesPerSecond.toPrecision(3)).toLocaleString("en-US")
      const days = Number(daysAMinute(row).toPrecision(2))
      return `| ${pathOf(row)} | ${samples} | ${row.ratio.toFixed(2)} | ${days} days |`
    }),
    ""
  ].join("\n")

const [BEGIN, END] = ["<!-- figures -->\n", "<!-- end of figures -->"]

const withTable = (readme: string, table: string): string =>
  readme.slice(0, readme.indexOf(BEGIN) + BEGIN.length) + table + readme.slice(readme.indexOf(END))

const chart = Command.make("chart", {
  results: Argument.File("results", { mustExist: true }),
  svg: Argument.File("svg"),
  readme: Argument.File("readme", { mustExist: true })
}, ({ readme, results, svg }) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const rows = (yield* decodeRows(yield* files.readFileString(results))).filter(({ fields }) => fields === 7)
    yield* files.writeFileString(svg, `${yield* Effect.promise(() => chartOf(rows))}\n`)
    yield* files.writeFileString(readme, withTable(yield* files.readFileString(readme), tableOf(rows)))
  }))

Command.run(chart, { version: "0.1.0" }).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
