import { assert, describe, it } from "@effect/vitest"
import type { ColumnType } from "@sampleline/core"
import { DataType, RecordBatchReader, type Schema as ArrowSchema, TimeUnit } from "apache-arrow"
import { Schema } from "effect"
import { arrowSchema } from "../../src/internal/ArrowSchema.ts"

const decoded = (base64: string): ArrowSchema => {
  const reader = RecordBatchReader.from(Buffer.from(base64, "base64"))
  reader.open()
  return reader.schema
}

const isOfType = (type: ColumnType, found: DataType): boolean => {
  switch (type) {
    case "float":
      return DataType.isFloat(found) && String(found) === "Float64"
    case "int":
      return DataType.isInt(found) && found.bitWidth === 64 && found.isSigned
    case "timestamp":
      return DataType.isTimestamp(found) && found.unit === TimeUnit.MICROSECOND && found.timezone === "UTC"
    case "text":
    case "any":
      return DataType.isUtf8(found)
  }
}

const ColumnWithUnit = Schema.Struct({
  name: Schema.String,
  type: Schema.Literals(["float", "int", "text", "timestamp", "any"]),
  nullable: Schema.Boolean,
  unit: Schema.NullOr(Schema.String)
})

describe("an Arrow schema", () => {
  it.prop(
    "is read back with its types, units and metadata",
    {
      given: Schema.Array(ColumnWithUnit),
      metadata: Schema.Record(Schema.String, Schema.String)
    },
    ({ given, metadata }) => {
      const columns = given.map((column, at) => ({ ...column, name: `${at} ${column.name}`.toWellFormed() }))
      const units = Object.fromEntries(
        columns.flatMap(({ name, unit }) => unit === null ? [] : [[name, unit.toWellFormed()]])
      )
      const texts = Object.fromEntries(
        Object.entries(metadata).map(([key, value]) => [key.toWellFormed(), value.toWellFormed()])
      )
      const schema = decoded(arrowSchema(columns, units, texts))
      assert.deepStrictEqual(schema.metadata, new Map(Object.entries(texts)))
      assert.deepStrictEqual(
        schema.fields.map(({ metadata, name, nullable }) => [name, nullable, metadata.get("unit")]),
        columns.map(({ name, nullable }) => [name, nullable, units[name]])
      )
      columns.forEach(({ type }, at) => assert.isTrue(isOfType(type, schema.fields[at]!.type), type))
    }
  )
})
