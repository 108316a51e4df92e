/**
 * The schema of a Parquet file: how its columns are stored. Pure.
 */
import type { Column } from "@sampleline/core"
import type { ParquetWriter } from "hyparquet-writer"

export type SchemaElement = ParquetWriter["schema"][number]

/** The elements of a schema: its root, and a column each. */
export const schemaOf = (columns: ReadonlyArray<Column>): Array<SchemaElement> => [
  { name: "root", num_children: columns.length },
  ...columns.map(schemaElement)
]

const schemaElement = ({ name, nullable, type }: Column): SchemaElement => {
  const repetition_type = nullable ? "OPTIONAL" : "REQUIRED"
  switch (type) {
    case "float":
      return { name, repetition_type, type: "DOUBLE" }
    case "int":
      return { name, repetition_type, type: "INT64" }
    case "text":
    case "any":
      return { name, repetition_type, type: "BYTE_ARRAY", converted_type: "UTF8", logical_type: { type: "STRING" } }
    case "timestamp":
      return {
        name,
        repetition_type,
        type: "INT64",
        converted_type: "TIMESTAMP_MICROS",
        logical_type: { type: "TIMESTAMP", isAdjustedToUTC: true, unit: "MICROS" }
      }
  }
}
