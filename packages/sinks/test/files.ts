import type { Cell, Column } from "@sampleline/core"
import { parse } from "csv-parse/sync"
import { Effect, FileSystem } from "effect"

/** The text of a file; empty if there is no such file. */
const readText = (path: string) =>
  Effect.flatMap(FileSystem.FileSystem, (files) => files.readFileString(path)).pipe(
    Effect.catchReason("PlatformError", "NotFound", () => Effect.succeed(""))
  )

/** The rows of a CSV file, read by another reader than ours; values as the columns say. */
export const readCsv = Effect.fnUntraced(function*(path: string, columns: ReadonlyArray<Column>) {
  const text = yield* readText(path)
  const types = new Map(columns.map((column) => [column.name, column.type]))
  return (parse(text, { columns: true, relax_column_count: false }) as ReadonlyArray<Record<string, string>>).map((
    row
  ) =>
    Object.fromEntries(
      Object.entries(row).map(([name, value]): [string, Cell] => {
        const type = types.get(name)
        return [name, value === "" ? null : type === "float" || type === "int" ? Number(value) : value]
      })
    )
  )
})

/** The rows of a JSONL file. */
export const readJsonl = Effect.fnUntraced(function*(path: string) {
  const text = yield* readText(path)
  return text.split("\n").slice(0, -1).map((line): { [column: string]: Cell } => JSON.parse(line))
})
