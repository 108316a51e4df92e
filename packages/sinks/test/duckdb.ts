import { DuckDBInstance } from "@duckdb/node-api"
import { type Cell, type Column, formatTimestamp } from "@sampleline/core"
import { Effect } from "effect"

/** Rows of a query, as DuckDB's own values. `before` is a statement that is run first. */
export const queryDuckDb = (sql: string, before = "SELECT 1") =>
  Effect.promise(() =>
    DuckDBInstance.create(":memory:").then((instance) =>
      instance.connect().then((connection) =>
        connection.run(before).then(() => connection.runAndReadAll(sql)).then((reader) => {
          const rows = reader.getRowObjects()
          connection.closeSync()
          instance.closeSync()
          return rows
        })
      )
    )
  )

/** The rows of a Parquet file or any other table expression, times as text. */
export const readWithDuckDb = Effect.fnUntraced(function*(from: string, columns: ReadonlyArray<Column>) {
  const cells = columns.map(({ name, type }) => {
    const quoted = `"${name.replaceAll("\"", "\"\"")}"`
    return type === "timestamp" ? `epoch_us(${quoted}) AS ${quoted}` : quoted
  })
  const rows = yield* queryDuckDb(`SELECT ${cells.join(", ")} FROM ${from}`)
  return rows.map((row) =>
    Object.fromEntries(
      columns.map(({ name, type }): [string, Cell] => {
        const value = row[name] ?? null
        if (value === null) return [name, null]
        if (type === "timestamp") return [name, formatTimestamp(Number(value))]
        return [name, typeof value === "bigint" ? Number(value) : value as Cell]
      })
    )
  )
})

/** How many rows a Parquet file has. Reads all its columns. */
export const countParquet = (path: string) =>
  Effect.map(
    queryDuckDb(`SELECT count(*) AS n, sum(Mass_Flow) AS s, max(received_at) AS t FROM read_parquet('${path}')`),
    ([row]) => Number(row!["n"])
  )
