/**
 * Draws the rows of `npm run bench -- --json` (standard input) as SVG (standard output): what each sink takes beside what the
 * machine can do, on a logarithmic scale.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { parse, View } from "vega"
import { compile } from "vega-lite"
import { decodeRows, pathOf } from "./results.ts"

const chart = Effect.gen(function*() {
  const rows = yield* decodeRows(readFileSync(0, "utf8"))
  const bars = rows.filter(({ fields }) => fields === 7).flatMap((row) => {
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
  const svg = yield* Effect.promise(() => new View(parse(spec), { renderer: "none" }).toSVG())
  yield* Effect.sync(() => process.stdout.write(`${svg}\n`))
})

NodeRuntime.runMain(chart)
