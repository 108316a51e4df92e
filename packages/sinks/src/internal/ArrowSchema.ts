/**
 * The Arrow schema of a Parquet file, as readers of the Arrow family (pyarrow, polars, arrow-rs) look for it under the key
 * `ARROW:schema`: an encapsulated message of Arrow's IPC format in base64. With it they show the unit of each column. Pure.
 *
 * They trust its types over the file's, and refuse a file whose types differ. They also take the metadata of a table from it, so it
 * repeats that of the file.
 *
 * The tables, their slots and the numbers of types are those of Arrow's `Schema.fbs` and `Message.fbs`
 * (https://github.com/apache/arrow/tree/main/format). The package `apache-arrow` writes the same, and is twenty times as large as
 * `flatbuffers`.
 */
import type { Column } from "@sampleline/core"
import { Builder, type Offset } from "flatbuffers"

export const ARROW_SCHEMA = "ARROW:schema"

type Texts = { readonly [key: string]: string }

/** `units` has the unit of each column that has one; `metadata` is that of the file. */
export const arrowSchema = (columns: ReadonlyArray<Column>, units: Texts, metadata: Texts): string => {
  const builder = new Builder(1024)
  const fields = columns.map((column) => field(builder, column, units[column.name]))
  const fieldsAt = vector(builder, fields)
  const metadataAt = keyValues(builder, metadata)
  builder.startObject(4)
  builder.addFieldOffset(1, fieldsAt, 0)
  builder.addFieldOffset(2, metadataAt, 0)
  const schema = builder.endObject()
  builder.startObject(5)
  builder.addFieldInt16(0, METADATA_V5, 0)
  builder.addFieldInt8(1, HEADER_IS_SCHEMA, 0)
  builder.addFieldOffset(2, schema, 0)
  builder.finish(builder.endObject())
  return encapsulated(builder.asUint8Array()).toString("base64")
}

const METADATA_V5 = 4
const HEADER_IS_SCHEMA = 1

/** A message follows a mark and its length, and ends at a multiple of eight bytes. */
const encapsulated = (message: Uint8Array): Buffer => {
  const length = Math.ceil(message.length / 8) * 8
  const bytes = Buffer.alloc(8 + length)
  bytes.writeInt32LE(-1, 0)
  bytes.writeInt32LE(length, 4)
  bytes.set(message, 8)
  return bytes
}

const field = (builder: Builder, { name, nullable, type }: Column, unit: string | undefined): Offset => {
  const nameAt = builder.createString(name)
  const { kind, at } = typeOf(builder, type)
  // Readers refuse a field without this vector.
  const childrenAt = vector(builder, [])
  const metadataAt = unit === undefined ? 0 : keyValues(builder, { unit })
  builder.startObject(7)
  builder.addFieldOffset(0, nameAt, 0)
  builder.addFieldInt8(1, nullable ? 1 : 0, 0)
  builder.addFieldInt8(2, kind, 0)
  builder.addFieldOffset(3, at, 0)
  builder.addFieldOffset(5, childrenAt, 0)
  builder.addFieldOffset(6, metadataAt, 0)
  return builder.endObject()
}

/** The types of `ParquetFile`, and nothing else: a dictionary is only how a column is stored there. */
const typeOf = (builder: Builder, type: Column["type"]): { readonly kind: number; readonly at: Offset } => {
  switch (type) {
    case "float":
      builder.startObject(1)
      builder.addFieldInt16(0, DOUBLE, 0)
      return { kind: FLOATING_POINT, at: builder.endObject() }
    case "int":
      builder.startObject(2)
      builder.addFieldInt32(0, 64, 0)
      builder.addFieldInt8(1, SIGNED, 0)
      return { kind: INT, at: builder.endObject() }
    case "timestamp": {
      const zone = builder.createString("UTC")
      builder.startObject(2)
      builder.addFieldInt16(0, MICROSECOND, 0)
      builder.addFieldOffset(1, zone, 0)
      return { kind: TIMESTAMP, at: builder.endObject() }
    }
    case "text":
    case "any":
      builder.startObject(0)
      return { kind: UTF8, at: builder.endObject() }
  }
}

const INT = 2
const FLOATING_POINT = 3
const UTF8 = 5
const TIMESTAMP = 10
const DOUBLE = 2
const SIGNED = 1
const MICROSECOND = 2

const keyValues = (builder: Builder, texts: Texts): Offset =>
  vector(
    builder,
    Object.entries(texts).map(([key, value]) => {
      const [keyAt, valueAt] = [builder.createString(key), builder.createString(value)]
      builder.startObject(2)
      builder.addFieldOffset(0, keyAt, 0)
      builder.addFieldOffset(1, valueAt, 0)
      return builder.endObject()
    })
  )

const vector = (builder: Builder, offsets: ReadonlyArray<Offset>): Offset => {
  builder.startVector(4, offsets.length, 4)
  // It is written from its end.
  for (const offset of offsets.toReversed()) builder.addOffset(offset)
  return builder.endVector()
}
