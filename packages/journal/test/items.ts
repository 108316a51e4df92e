/**
 * Items of all kinds for property tests, and how they are packed.
 */
import { FrameFormat, type FrameValue, type Run, type RunEvent, Sample } from "@sampleline/core"
import { Schema } from "effect"
import { type Item, pack, type Source } from "../src/Packing.ts"

export const run: Run = { id: "run", startedAt: 0, devices: [] }

// NaN and the infinities too.
// @effect-diagnostics-next-line schemaNumber:off
const Value: Schema.Codec<FrameValue> = Schema.Union([Schema.Number, Schema.String, Schema.Null, Schema.Undefined])

/** A sample's readings and notes; its format has as many fields as it has values. */
export const Reading = Schema.Struct({
  device: Schema.Literals(["fuel", "air"]),
  sequence: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
  tick: Schema.NullOr(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 40 }))),
  at: Schema.Int,
  values: Schema.Array(Value),
  status: Schema.Array(Schema.String),
  fieldFailures: Schema.UndefinedOr(Schema.Array(Schema.Struct({ field: Schema.String, detail: Schema.String })))
})

const formats = new Map<number, FrameFormat>()
const formatOf = (fields: number): FrameFormat => {
  const known = formats.get(fields)
  if (known !== undefined) return known
  const made = FrameFormat.make(Array.from({ length: fields }, (_, n) => ({ name: `f${n}` })))
  formats.set(fields, made)
  return made
}

export const itemOf = (item: typeof Reading.Type | RunEvent): Item => {
  // JSON has no -0, and a count or a time is never one. V8's JSON.parse now and then reads a name that is an escape, such as "\n", as
  // another one that it saw before: names of devices and fields have none.
  if ("_tag" in item) return JSON.parse(JSON.stringify(item).replaceAll(/\\[^u]/g, "~"))
  const { device, fieldFailures, sequence, status, tick, values } = item
  const at = item.at + 0
  return new Sample({
    run,
    device,
    unitId: "A",
    sequence,
    tick,
    requestedAt: at,
    receivedAt: at + 1,
    requestedMonotonicNanos: at / 3,
    receivedMonotonicNanos: at,
    frame: { format: formatOf(values.length), values, status, fieldFailures }
  })
}

export const packed = (items: ReadonlyArray<Item>) => {
  const sources: Array<Source> = []
  const bytes = pack(items, ({ device, frame: { format }, unitId }) => {
    const known = sources.findIndex((source) => source.device === device && source.format === format)
    return known >= 0 ? known : sources.push({ device, unitId, format }) - 1
  })
  return { bytes, sources }
}
