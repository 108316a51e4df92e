/**
 * The figures as a picture: how fast each sink is, and how near that is to what the machine can do.
 *
 * Both panels are linear and begin at 0, so lengths can be compared. One scale cannot show both: the machine's limit is up to
 * three hundred times a sink's speed. So the left panel has the sinks alone, on one scale. The right panel has each row's own
 * limit as 100 %. The null sink is not drawn: it writes nothing, and its bar would dwarf the others.
 *
 * Limits: widths of texts are known only to the browser. The margins leave room for them, and a test checks that.
 */
import { Effect } from "effect"
import { parse, View } from "vega"
import { compile, type TopLevelSpec } from "vega-lite"
import { type Measured, pathOf } from "./results.ts"

const OURS = "#1f5f8b"
const LIMIT = "#c3ccd4"
const TEXT = "#1b1f24"

const FONT_SIZE = 15
const ROW_HEIGHT = 25
const BAR_HEIGHT = 18
const LABEL_WIDTH = 108
const PANEL_WIDTH = 176
/** Beside the longest bar. */
const VALUE_WIDTH = 76

/** A line of the picture: a sink's name, or what was measured with one batch size. */
type Line =
  | { readonly key: string; readonly heading: string }
  | { readonly key: string; readonly label: string; readonly ours: number; readonly limit: number }

const sinkOf = ({ sink, variant }: Measured): string => variant === "" ? sink : `${sink}, ${variant}`

const linesOf = (rows: ReadonlyArray<Measured>): ReadonlyArray<Line> =>
  [...Map.groupBy(rows, sinkOf)].flatMap(([sink, measured]): ReadonlyArray<Line> => [
    { key: sink, heading: sink },
    ...measured.map((row) => ({
      key: pathOf(row),
      label: `batch ${row.batch}`,
      ours: row.samplesPerSecond,
      limit: row.limitPerSecond
    }))
  ])

/** `1.34 M`, `861 k` */
export const short = (value: number): string => {
  const [unit, suffix] = value >= 999_500 ? [1e6, " M"] as const : [1e3, " k"] as const
  return `${Number((value / unit).toPrecision(3))}${suffix}`
}

const specOf = (lines: ReadonlyArray<Line>): TopLevelSpec => {
  const y = {
    field: "key",
    type: "nominal",
    sort: null,
    scale: { domain: lines.map(({ key }) => key) },
    axis: null
  } as const
  const figures = lines.flatMap((line) => {
    if ("heading" in line) return []
    const { key, limit, ours } = line
    const share = ours / limit
    return [{
      ...line,
      share,
      whole: 1,
      oursText: short(ours),
      limitText: short(limit),
      oursSpoken: `${key}: ${short(ours)} samples a second`,
      shareSpoken: `${key}: ${Math.round(100 * share)} % of the machine's limit`,
      limitSpoken: `${key}, the machine's limit: ${short(limit)} samples a second`
    }]
  })
  const longest = Math.max(...figures.map(({ ours }) => ours))
  const text = { type: "text", align: "left", baseline: "middle", fontSize: FONT_SIZE, color: TEXT } as const
  const title = (words: ReadonlyArray<string>) => ({
    text: [...words],
    anchor: "start" as const,
    frame: "group" as const,
    fontSize: FONT_SIZE,
    color: TEXT,
    offset: 10
  })
  const bar = (color: string) => ({ type: "bar", height: BAR_HEIGHT, color }) as const
  const panel = { height: { step: ROW_HEIGHT }, width: PANEL_WIDTH } as const
  return {
    data: { values: [...lines] },
    spacing: VALUE_WIDTH,
    bounds: "flush",
    hconcat: [
      {
        ...panel,
        title: title(["Samples a second,", "seven fields each"]),
        layer: [
          {
            mark: { ...text, fontWeight: "bold" },
            encoding: { y, x: { value: -LABEL_WIDTH }, text: { field: "heading" } },
            transform: [{ filter: "isValid(datum.heading)" }]
          },
          {
            data: { values: figures },
            mark: text,
            encoding: { y, x: { value: -LABEL_WIDTH }, text: { field: "label" } }
          },
          {
            data: { values: figures },
            mark: bar(OURS),
            encoding: {
              y,
              description: { field: "oursSpoken" },
              x: { field: "ours", type: "quantitative", scale: { domain: [0, longest], nice: false }, axis: null }
            }
          },
          {
            data: { values: figures },
            mark: { ...text, dx: 6 },
            encoding: { y, x: { field: "ours", type: "quantitative" }, text: { field: "oursText" } }
          }
        ]
      },
      {
        ...panel,
        title: title(["Compared with the", "machine's limit (grey)"]),
        layer: [
          {
            data: { values: figures },
            mark: bar(LIMIT),
            encoding: {
              y,
              description: { field: "limitSpoken" },
              x: { field: "whole", type: "quantitative", scale: { domain: [0, 1] }, axis: null }
            }
          },
          {
            data: { values: figures },
            mark: bar(OURS),
            encoding: { y, description: { field: "shareSpoken" }, x: { field: "share", type: "quantitative" } }
          },
          {
            data: { values: figures },
            mark: { ...text, dx: 6 },
            encoding: { y, x: { field: "whole", type: "quantitative" }, text: { field: "limitText" } }
          }
        ]
      }
    ],
    config: { font: "system-ui, sans-serif", background: "white", padding: 16, view: { stroke: null } }
  }
}

/** The chart as SVG. */
export const throughputChart = (rows: ReadonlyArray<Measured>): Effect.Effect<string> =>
  Effect.promise(() => {
    const { spec } = compile(specOf(linesOf(rows.filter(({ sink }) => sink !== "null"))))
    return new View(parse(spec), { renderer: "none" }).toSVG()
  })
