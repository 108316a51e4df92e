import type { Cell, Column } from "@sampleline/core"
import { parse } from "csv-parse/sync"
import * as fs from "node:fs"

/** The text of a file; empty if there is no such file. */
const textOf = (path: string) => fs.existsSync(path) ? fs.readFileSync(path, "utf8") : ""

/** The rows of a CSV file, read by another reader than ours. Values have the types of the columns. */
export const readCsv = (path: string, columns: ReadonlyArray<Column>) => {
  const types = new Map(columns.map((column) => [column.name, column.type]))
  const rows: ReadonlyArray<Record<string, string>> = parse(textOf(path), { columns: true, relax_column_count: false })
  return rows.map((row) =>
    Object.fromEntries(
      Object.entries(row).map(([name, value]): [string, Cell] => {
        const type = types.get(name)
        return [name, value === "" ? null : type === "float" || type === "int" ? Number(value) : value]
      })
    )
  )
}

/** The rows of a file of JSON lines. */
export const readJsonl = (path: string) =>
  textOf(path).split("\n").slice(0, -1).map((line): { [column: string]: Cell } => JSON.parse(line))

/** The values of `Mass_Flow` in the complete rows of a file of either kind. */
export const flowsIn = (path: string): ReadonlyArray<number> => {
  const lines = textOf(path).split("\n").slice(0, -1)
  const [first = ""] = lines
  if (first.startsWith("{")) return lines.map((line) => JSON.parse(line).Mass_Flow)
  const at = first.split(",").indexOf("Mass_Flow")
  return lines.slice(1).map((line) => Number(line.split(",")[at]))
}
