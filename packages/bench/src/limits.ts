/**
 * The machine's limits: the simplest loop writes the same rows, prepared in advance. Batch size, rows per statement, codec,
 * encodings and row group are the sink's own. Only the writing is timed.
 */
import { type Cell, type Column, formatTimestamp, type RowOptions, SchemaLock } from "@sampleline/core"
import { Effect, type Scope } from "effect"
import * as fs from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { Client } from "pg"
import { CopyBuffer } from "../../sinks/src/internal/CopyBuffer.ts"
import { CopyIn } from "../../sinks/src/internal/CopyIn.ts"
import { ParquetFile } from "../../sinks/src/internal/ParquetFile.ts"
import { copyStatement } from "../../sinks/src/internal/PostgresTable.ts"
import type { PostgresKind } from "../../sinks/src/internal/PostgresTypes.ts"
import { RowGroup } from "../../sinks/src/internal/RowGroup.ts"
import type { Recording } from "./samples.ts"

/** Writes this many samples in batches. */
export type Limit = (samples: number) => Effect.Effect<void>

/** Flattens ticks into batches and counts what the summary of a run counts. The batches are discarded. */
export const countLimit = ({ ticks }: Recording, batchSize: number): Limit => (samples) =>
  Effect.sync(() => {
    const summary = { ticks: 0, samples: 0, skipped: 0, dropped: 0, failures: 0, drift: 0, written: 0 }
    let batch: Array<unknown> = []
    for (let at = 0; summary.ticks < samples; at = at + 1 === ticks.length ? 0 : at + 1) {
      const tick = ticks[at]!
      summary.ticks++
      summary.skipped += tick.skipped
      summary.dropped += tick.dropped
      summary.failures += tick.failures.length + tick.droppedFailures.size
      summary.samples += tick.samples.length
      if (tick.driftMs > summary.drift) summary.drift = tick.driftMs
      for (const sample of tick.samples) batch.push(sample)
      if (batch.length >= batchSize) {
        summary.written += batch.length
        batch = []
      }
    }
    if (summary.samples !== summary.written + batch.length) throw new Error("the plain loop has lost samples")
  })

/** Writes lines that the sink has made, one `writeSync` per batch. */
export const bytesLimit = (written: string, batchSize: number, file: string): Limit => {
  const bytes = fs.readFileSync(written)
  const batches: Array<Buffer> = []
  let lines = 0
  let start = 0
  for (let end = bytes.indexOf("\n"); end >= 0; end = bytes.indexOf("\n", end + 1)) {
    if (++lines % batchSize !== 0) continue
    batches.push(bytes.subarray(start, end + 1))
    start = end + 1
  }
  return (samples) =>
    Effect.sync(() => {
      const fd = fs.openSync(file, "w")
      for (let left = samples, at = 0; left > 0; left -= batchSize, at = (at + 1) % batches.length) {
        fs.writeSync(fd, batches[at]!)
      }
      fs.closeSync(fd)
    })
}

const rowsOf = (
  { samples }: Recording,
  options: RowOptions = {}
): { readonly columns: ReadonlyArray<Column>; readonly rows: Array<Array<Cell>> } => {
  const lock = SchemaLock.fromBatch(samples, options)
  return { columns: lock.columns, rows: samples.map((sample) => lock.row(sample)) }
}

/** A table that the sink makes has row ids. */
const OF_A_TABLE: RowOptions = { rowIds: true }

/** As many as the sink puts into one statement. */
const ROWS_A_STATEMENT = 16

/** Prepared inserts of ready values, one transaction per batch. */
export const sqliteLimit = (
  recording: Recording,
  batchSize: number,
  timesAsText: boolean,
  file: string
): Limit => {
  const { columns, rows } = rowsOf(recording, OF_A_TABLE)
  const ready = rows.map((row) =>
    row.map((cell, at) => timesAsText && columns[at]!.type === "timestamp" ? formatTimestamp(Number(cell)) : cell)
  )
  const statements: Array<Array<Cell>> = []
  for (let at = 0; at + ROWS_A_STATEMENT <= ready.length; at += ROWS_A_STATEMENT) {
    statements.push(ready.slice(at, at + ROWS_A_STATEMENT).flat())
  }
  const types = {
    float: "REAL",
    int: "INTEGER",
    text: "TEXT",
    timestamp: timesAsText ? "TEXT" : "INTEGER",
    any: "TEXT"
  }
  return (samples) =>
    Effect.sync(() => {
      const database = new DatabaseSync(file)
      database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
      database.exec(`CREATE TABLE samples (${columns.map(({ name, type }) => `"${name}" ${types[type]}`).join(", ")})`)
      const row = `(${columns.map(() => "?").join(", ")})`
      const insert = database.prepare(
        `INSERT INTO samples VALUES ${Array.from({ length: ROWS_A_STATEMENT }, () => row).join(", ")}`
      )
      for (let left = samples, at = 0; left > 0; left -= batchSize) {
        database.exec("BEGIN IMMEDIATE")
        for (let inBatch = 0; inBatch < batchSize; inBatch += ROWS_A_STATEMENT) {
          insert.run(...statements[at]!)
          at = at + 1 === statements.length ? 0 : at + 1
        }
        database.exec("COMMIT")
      }
      database.close()
    })
}

/** The sink's own encoder on ready columns, in this thread, one row group after the other. */
export const parquetLimit = ({ samples }: Recording, rowGroupSize: number, file: string): Limit => {
  const lock = SchemaLock.fromBatch(samples).typed()
  const groupOf = (rows: number) => {
    const group = new RowGroup(lock.columns, rows)
    for (const sample of samples.slice(0, rows)) group.push(lock, sample)
    return group.copy()
  }
  const full = groupOf(rowGroupSize)
  const settings = { columns: lock.saved, compression: "zstd", dictionary: true, units: {}, metadata: {} } as const
  const header = { version: 1, journal: null, replaces: false, settings } as const
  const passed = { events: [], through: 0 }
  return (samples) =>
    Effect.sync(() => {
      const [fd, reserve, groups] = ["", ".reserve", ".groups"].map((end) => fs.openSync(file + end, "w+"))
      const parquet = new ParquetFile({ fd: fd!, reserve: reserve!, groups: groups!, header, finished: [] })
      for (let left = samples; left > 0; left -= rowGroupSize) {
        parquet.writeGroup(left >= rowGroupSize ? full : groupOf(left), passed)
      }
      parquet.finish(passed)
      for (const open of [fd, reserve, groups]) fs.closeSync(open!)
    })
}

const KINDS: { readonly [type in Column["type"]]: PostgresKind } = {
  float: "float8",
  int: "int8",
  text: "text",
  timestamp: "timestamptz",
  any: "text"
}

/** COPY of ready bytes into the sink's own table, one per batch. */
export const copyLimit = Effect.fnUntraced(function*(
  recording: Recording,
  batchSize: number,
  url: string
): Effect.fn.Return<Limit, never, Scope.Scope> {
  const { samples } = recording
  const lock = SchemaLock.fromBatch(samples, OF_A_TABLE)
  const kinds = lock.columns.map(({ type }) => KINDS[type])
  const batches: Array<Buffer> = []
  for (let at = 0; at + batchSize <= samples.length; at += batchSize) {
    batches.push(new CopyBuffer(kinds).encode(lock, samples.slice(at, at + batchSize)))
  }
  const statement = copyStatement({ schema: "public", table: "samples" }, { lock })
  const client = yield* Effect.acquireRelease(
    Effect.promise(() => {
      const client = new Client(url)
      return client.connect().then(() => client)
    }),
    (client) => Effect.promise(() => client.end())
  )
  const copy = (bytes: Buffer) =>
    Effect.callback<void>((resume) => {
      client.query(
        new CopyIn(statement, bytes, (error) => resume(error === undefined ? Effect.void : Effect.die(error)))
      )
    })
  return (samples) =>
    Effect.gen(function*() {
      for (let left = samples, at = 0; left > 0; left -= batchSize, at = (at + 1) % batches.length) {
        yield* copy(batches[at]!)
      }
    })
})
