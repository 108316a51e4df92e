/**
 * What a full disk leaves behind: a small tmpfs of its own where user namespaces are allowed, and a limit on the size of files
 * everywhere.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { fileURLToPath } from "node:url"
import { queryDuckDb } from "./duckdb.ts"

const PROGRAM = fileURLToPath(new URL("fillDisk.ts", import.meta.url))

const hasNamespaces = spawnSync("unshare", ["-rm", "true"]).status === 0

/** Runs the program on a disk of 400 KiB; what it leaves is copied out before the disk goes. */
const onSmallDisk = (sink: string, folder: string, file: string, program = PROGRAM) =>
  execFileSync("unshare", [
    "-rm",
    "sh",
    "-c",
    "mkdir $0/disk && mount -t tmpfs -o size=400k tmpfs $0/disk && $1 $2 $3 $0/disk/$4; cp $0/disk/* $0",
    folder,
    process.execPath,
    program,
    sink,
    file
  ])

/** Runs the program with files of at most 400 blocks. */
const withSmallFiles = (sink: string, folder: string, file: string) =>
  execFileSync("sh", [
    "-c",
    "trap '' XFSZ; ulimit -f 400; exec $0 $1 $2 $3",
    process.execPath,
    PROGRAM,
    sink,
    `${folder}/${file}`
  ])

const countLines = (file: string) =>
  Effect.sync(() => {
    const text = fs.readFileSync(file, "utf8")
    assert.isTrue(text.endsWith("\n"))
    return text.split("\n").length - 1
  })

const countRows = (file: string) =>
  Effect.sync(() => {
    const database = new DatabaseSync(file)
    assert.strictEqual(database.prepare("PRAGMA integrity_check").get()?.["integrity_check"], "ok")
    const count = Number(database.prepare("SELECT count(*) AS n FROM samples").get()?.["n"])
    database.close()
    return count
  })

/** Reads every column, too. */
const countParquet = (file: string) =>
  Effect.map(
    queryDuckDb(`SELECT count(*) AS n, sum(Mass_Flow) AS s, max(received_at) AS t FROM '${file}'`),
    ([row]) => Number(row!["n"])
  )

const sinks = [
  { sink: "CsvSink", file: "run.csv", count: (file: string) => Effect.map(countLines(file), (lines) => lines - 1) },
  { sink: "JsonlSink", file: "run.jsonl", count: countLines },
  { sink: "SqliteSink", file: "run.db", count: countRows },
  { sink: "ParquetSink", file: "run.parquet", count: countParquet }
]

describe.each([
  { disk: "a full disk", run: onSmallDisk, possible: hasNamespaces },
  { disk: "a limit on the file's size", run: withSmallFiles, possible: process.platform !== "win32" }
])("on $disk", ({ possible, run }) => {
  for (const { count, file, sink } of sinks) {
    it.effect.runIf(possible)(
      `${sink} fails with DiskFull, and what was accepted is complete`,
      () =>
        Effect.gen(function*() {
          const folder = fs.mkdtempSync(path.join(os.tmpdir(), "full-"))
          const { accepted, error } = JSON.parse(run(sink, folder, file).toString().split("\n").at(-1)!)
          assert.strictEqual(error, "SinkWriteError DiskFull")
          assert.isAbove(accepted, 0)
          assert.strictEqual(yield* count(path.join(folder, file)), accepted)
          fs.rmSync(folder, { recursive: true })
        })
    )
  }
})

it.effect.runIf(hasNamespaces)(
  "a Parquet file has all that was accepted when the full disk has room again before it is closed",
  () =>
    Effect.gen(function*() {
      const folder = fs.mkdtempSync(path.join(os.tmpdir(), "full-"))
      const program = fileURLToPath(new URL("makeRoom.ts", import.meta.url))
      const accepted = Number(onSmallDisk("ParquetSink", folder, "run.parquet", program).toString().split("\n").at(-1))
      assert.isAtLeast(accepted, 500)
      assert.strictEqual(yield* countParquet(path.join(folder, "run.parquet")), accepted)
      fs.rmSync(folder, { recursive: true })
    })
)
