import { assert, it } from "@effect/vitest"
import { Array, Effect } from "effect"
import { execFileSync, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as nodePath from "node:path"
import { fileURLToPath } from "node:url"
import { queryDuckDb } from "./duckdb.ts"
import { query } from "./sqlite.ts"
import { tempFile } from "./tempFile.ts"
import { flowsIn } from "./textReaders.ts"

const canMountImage = process.getuid?.() === 0 && fs.existsSync("/dev/loop-control")
  && spawnSync("unshare", ["-m", "sh", "-c", "command -v mkfs.ext4"]).status === 0

it.live.runIf(canMountImage)(
  "files wait while their disk can only be read, and lack nothing when it is back",
  () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.parquet")
      const folder = nodePath.dirname(path)
      const program = fileURLToPath(new URL("diskReadOnly.ts", import.meta.url))
      const output = execFileSync("unshare", ["-m", process.execPath, program, folder]).toString()
      const waiting = Array.replicate("ConnectionLost", 3)
      assert.deepStrictEqual(JSON.parse(output.split("\n").at(-1)!), {
        CsvSink: waiting,
        JsonlSink: waiting,
        SqliteSink: waiting,
        ParquetSink: waiting
      })
      const flows = Array.makeBy(9, (n) => n / 4)
      for (const name of ["run.csv", "run.jsonl"]) assert.deepStrictEqual(flowsIn(nodePath.join(folder, name)), flows)
      const inSqlite = query(nodePath.join(folder, "run.db"), "SELECT Mass_Flow FROM samples")
      const inParquet = yield* queryDuckDb(`SELECT Mass_Flow FROM '${path}'`)
      for (const rows of [inSqlite, inParquet]) assert.deepStrictEqual(rows.map((row) => row["Mass_Flow"]), flows)
    })
)
