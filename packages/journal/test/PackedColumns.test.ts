import { assert, describe, it } from "@effect/vitest"
import { RunEvent, Sample, sampleToRow } from "@sampleline/core"
import { Effect, Schema } from "effect"
import { type PackedColumn, PackedColumns, type PackedValues } from "../src/PackedColumns.ts"
import { type Item, unpack } from "../src/Packing.ts"
import { itemOf, packed, Reading, run } from "./items.ts"

/** The columns that all samples have, but the times. */
const FIXED: ReadonlyArray<PackedColumn> = [
  { name: "device", type: "text", isField: false },
  { name: "unit_id", type: "text", isField: false },
  { name: "latency_s", type: "number", isField: false },
  { name: "status", type: "text", isField: false },
  { name: "run_id", type: "text", isField: false },
  { name: "sequence", type: "number", isField: false },
  { name: "tick", type: "number", isField: false }
]
const TIMES = ["requested_at", "received_at", "midpoint_at"] as const

const columnsOf = (type: PackedColumn["type"]): ReadonlyArray<PackedColumn> => [
  ...FIXED,
  ...TIMES.map((name) => ({ name, type: "number" as const, isField: false })),
  ...[0, 1, 2].map((n) => ({ name: `f${n}`, type, isField: true }))
]

const cellsOf = (values: PackedValues) =>
  "places" in values
    ? [...values.places].map((place) => values.texts[place] ?? null)
    : [...values.numbers].map((number, row) => values.nulls[row] === 1 ? null : number)

/** What a column must be, from the rows of the samples. */
const expectedOf = ({ isField, name, type }: PackedColumn, samples: ReadonlyArray<Sample>) => {
  const time = TIMES.find((time) => time === name)
  const cells = samples.map((sample) => {
    if (time === "requested_at") return sample.requestedAt
    if (time === "received_at") return sample.receivedAt
    return time === "midpoint_at" ? sample.midpointAt : sampleToRow(sample, { rowIds: true })[name] ?? null
  })
  if (!isField) return cells
  const isText = type === "text" || (type === "any" && cells.some((cell) => typeof cell === "string"))
  return cells.map((cell) => isText ? cell === null ? null : String(cell) : typeof cell === "number" ? cell : null)
}

describe("PackedColumns", () => {
  it.effect.prop(
    "gives the columns of the samples that unpack gives, whatever they hold, in batches of any size",
    {
      appends: Schema.Array(Schema.Array(Schema.Union([Reading, RunEvent]))),
      type: Schema.Literals(["number", "text", "any"]),
      capacity: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5 })),
      from: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 }))
    },
    ({ appends, capacity, from, type }) =>
      Effect.sync(() => {
        const columns = columnsOf(type)
        const positionOf = ({ format }: { readonly format: Sample["frame"]["format"] }, column: string) => {
          const position = format.fields.findIndex(({ name }) => name === column)
          return position < 0 ? undefined : position
        }
        const reader = new PackedColumns(columns, positionOf, capacity)
        const batches: Array<ReadonlyMap<string, PackedValues>> = []
        const expected: Array<ReadonlyArray<Sample>> = []
        let open: Array<Sample> = []
        const close = () => {
          batches.push(reader.take())
          expected.push(open)
          open = []
        }
        for (const append of appends) {
          const { bytes, sources } = packed(append.map(itemOf))
          const sourceOf = (id: number) => sources[id]
          const items: ReadonlyArray<Item> = unpack(bytes, run, sourceOf)!
          for (let at = Math.min(from, items.length); at < items.length;) {
            const reached = reader.add(bytes, at, items.length, { runId: run.id, sourceOf })!
            open.push(...items.slice(at, reached).filter((item) => item instanceof Sample))
            assert.lengthOf(open, reader.rows)
            if (reached < items.length) close()
            at = reached
          }
        }
        close()
        batches.forEach((batch, n) => {
          for (const column of columns) {
            assert.deepStrictEqual(cellsOf(batch.get(column.name)!), expectedOf(column, expected[n]!), column.name)
          }
        })
      })
  )

  it.effect("adds nothing of an append whose source is not known", () =>
    Effect.sync(() => {
      const reading = { device: "fuel" as const, tick: 1, at: 5, values: [1], status: [], fieldFailures: undefined }
      const { bytes, sources } = packed([
        itemOf({ ...reading, sequence: 0 }),
        itemOf({ ...reading, device: "air", sequence: 1 })
      ])
      const reader = new PackedColumns(FIXED, () => undefined, 10)
      const add = (known: number) =>
        reader.add(bytes, 0, 2, { runId: "run", sourceOf: (id) => id < known ? sources[id] : undefined })
      assert.strictEqual(add(1), null)
      assert.strictEqual(reader.rows, 0)
      assert.strictEqual(add(2), 2)
      assert.deepStrictEqual(cellsOf(reader.take().get("device")!), ["fuel", "air"])
    }))
})
