/**
 * Records two simulated devices for ten seconds into CSV, SQLite and Parquet, then shows the results.
 */
import { DuckDBInstance } from "@duckdb/node-api"
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"

const outputs = ["demo/run.csv", "demo/run.db", "demo/run.parquet"]
const args = [
  "record",
  "--simulate",
  "2",
  "--duration",
  "10s",
  "--overwrite",
  ...outputs.flatMap((file) => ["--out", file])
]

console.log(`$ npx sampleline ${args.join(" ")}`)
const { status } = spawnSync(process.execPath, ["packages/cli/bin.js", ...args], { stdio: "inherit" })
if (status !== 0) process.exit(status ?? 1)

console.log("\n$ head -n 4 demo/run.csv")
console.log(readFileSync("demo/run.csv", "utf8").split("\n").slice(0, 4).join("\n"))

const query = (table: string) =>
  `SELECT device, count(*) AS rows, round(avg(Mass_Flow), 2) AS mean, max(received_at) AS last FROM ${table} GROUP BY device`

console.log(`\n${query("samples")}; -- demo/run.db, by SQLite`)
console.table(new DatabaseSync("demo/run.db").prepare(query("samples")).all().map((row) => ({ ...row })))

console.log(`\n${query("'demo/run.parquet'")}; -- by DuckDB`)
const connection = await (await DuckDBInstance.create(":memory:")).connect()
console.table((await connection.runAndReadAll(query("'demo/run.parquet'"))).getRowObjectsJson())
