/**
 * A segment: an SQLite database that holds some of a journal's appends, one row each, and what is needed to read them. Old segments are
 * removed as whole files: deleting rows would never make a file smaller, and fails on a full disk.
 *
 * The methods are synchronous and throw. A row is trusted only if its checksum fits.
 */
import { type Device, FrameFormat, type Run, Sample } from "@sampleline/core"
import { runTransaction, SqliteDatabase, type SqliteFailure } from "@sampleline/sqlite"
import { Effect, type Scope } from "effect"
import * as path from "node:path"
import { JournalError } from "./JournalError.ts"
import { checksum, type Item, pack, type Source, unpack } from "./Packing.ts"
import { readLog } from "./SegmentLog.ts"

/** The version of the layout, in the database's own `user_version`. */
export const LAYOUT = 1

export const otherVersion = (folder: string, layout: unknown): JournalError =>
  new JournalError({
    path: folder,
    reason: "Version",
    detail: `it was made by another version of sampleline (layout ${
      String(layout)
    }, this one reads ${LAYOUT}); use that version`
  })

/** What a journal's items have in common: their run and their sources. */
export class Catalogue {
  run: Run | undefined
  readonly sources: Array<Source> = []
  private readonly ids = new Map<FrameFormat, Map<string, number>>()

  /** The number of a sample's source. A new one is added. */
  readonly idOf = ({ device, frame: { format }, unitId }: Sample): number => {
    let ids = this.ids.get(format)
    if (ids === undefined) this.ids.set(format, ids = new Map())
    // A unit id has no space.
    const key = `${unitId} ${device}`
    let id = ids.get(key)
    if (id === undefined) {
      id = this.sources.push({ device, unitId, format }) - 1
      ids.set(key, id)
    }
    return id
  }
}

/** Items that follow one another, from a position. */
export interface Items {
  readonly from: number
  readonly items: ReadonlyArray<Item>
}

export interface Segment {
  /** The position of its first item. */
  readonly first: number
  /** How many bytes were appended. */
  readonly bytes: () => number
  /** Adds items at a position. All or none is kept. */
  readonly append: (first: number, items: ReadonlyArray<Item>) => void
  /** Items from a position, at most about `limit`. If there is none at that position, those after it. */
  readonly read: (from: number, limit: number) => Items | null
  /** The position behind its last item. */
  readonly end: () => number
}

export const pathOf = (folder: string, first: number): string =>
  path.join(folder, `segment-${String(first).padStart(16, "0")}.db`)

const NAME = /^segment-(\d{16})\.db$/

/** The position in the name of a segment's file; null if it is another file. */
export const firstOf = (name: string): number | null => {
  const [, first] = NAME.exec(name) ?? []
  return first === undefined ? null : Number(first)
}

/** Opens a segment, or makes it. `isDurable`: an append survives a power cut. */
export const open = Effect.fnUntraced(function*(
  folder: string,
  first: number,
  catalogue: Catalogue,
  isDurable: boolean
): Effect.fn.Return<Segment, SqliteFailure, Scope.Scope> {
  const file = pathOf(folder, first)
  const { committed, isLastCut } = yield* SqliteDatabase.attempt(() => readLog(`${file}-wal`))
  const database = yield* SqliteDatabase.open(file)
  const found = yield* SqliteDatabase.attempt(() => {
    database.exec(`PRAGMA page_size = 1024; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 250`)
    return database.prepare("PRAGMA wal_checkpoint(PASSIVE)").all([])[0]?.["log"]
  })
  const log = `journal ${folder}: ${path.basename(file)}-wal`
  if (isLastCut) {
    yield* Effect.logWarning(
      `${log}: its last append is not whole. It was not accepted if the recorder was killed in it; else it is lost`
    )
  } else if (Number(found) < committed) {
    yield* Effect.logError(`${log} is damaged: the last samples in it are lost`)
  }
  return yield* SqliteDatabase.attempt(() => {
    database.exec("PRAGMA journal_size_limit = 1048576; PRAGMA synchronous = FULL")
    runTransaction(database, () =>
      database.exec(
        "CREATE TABLE IF NOT EXISTS runs (json TEXT NOT NULL, sum INTEGER NOT NULL);"
          + "CREATE TABLE IF NOT EXISTS sources (id INTEGER PRIMARY KEY, json TEXT NOT NULL, sum INTEGER NOT NULL);"
          + "CREATE TABLE IF NOT EXISTS appends"
          + " (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, sum INTEGER NOT NULL, data BLOB NOT NULL);"
          + `PRAGMA user_version = ${LAYOUT}`
      ))
    if (!isDurable) database.exec("PRAGMA synchronous = NORMAL")
    return makeSegment(database, first, catalogue)
  })
})

/** The appends that have items from a position on, and begin before another one. */
export const appendsBetween =
  "FROM appends WHERE first >= (SELECT coalesce(max(first), 0) FROM appends WHERE first <= ?1) AND first < ?2 ORDER BY first"

export const lastAppend = "SELECT first, count FROM appends ORDER BY first DESC LIMIT 1"

/** The sources of a segment by their numbers, without those that are damaged. */
export const sourcesIn = (database: SqliteDatabase.SqliteDatabase): Map<number, Source> => {
  const sources = new Map<number, Source>()
  for (const { id, json, sum } of database.prepare("SELECT * FROM sources").all([])) {
    if (checksum(String(json), Number(id)) === sum) sources.set(Number(id), sourceFrom(JSON.parse(String(json))))
  }
  return sources
}

/** The run of a segment, unless it has no sample yet, or it is damaged. */
export const runIn = (database: SqliteDatabase.SqliteDatabase): Run | undefined => {
  const [row] = database.prepare("SELECT * FROM runs").all([])
  return row !== undefined && checksum(String(row["json"]), 0) === row["sum"]
    ? runFrom(JSON.parse(String(row["json"])))
    : undefined
}

const makeSegment = (
  database: SqliteDatabase.SqliteDatabase,
  first: number,
  catalogue: Catalogue
): Segment => {
  const insert = database.prepare("INSERT INTO appends VALUES (?, ?, ?, ?)")
  const insertSource = database.prepare("INSERT INTO sources VALUES (?, ?, ?)")
  const insertRun = database.prepare("INSERT INTO runs VALUES (?, ?)")
  const select = database.prepare(`SELECT * ${appendsBetween}`)
  const after = database.prepare("SELECT first FROM appends WHERE first > ? ORDER BY first LIMIT 1")
  const last = database.prepare(lastAppend)

  const sources = sourcesIn(database)
  const storedRun = runIn(database)
  let run = storedRun === undefined ? undefined : catalogue.run ??= storedRun
  let bytes = 0

  return {
    first,
    bytes: () => bytes,
    append: (first, items) => {
      const added: Array<number> = []
      const data = pack(items, (sample) => {
        const id = catalogue.idOf(sample)
        if (!sources.has(id) && !added.includes(id)) added.push(id)
        return id
      })
      const row = [first, items.length, checksum(data, first), data]
      const unknownRun = run === undefined
        ? catalogue.run ?? items.find((item) => item instanceof Sample)?.run
        : undefined
      // One statement needs no transaction around it.
      if (added.length === 0 && unknownRun === undefined) insert.run(row)
      else {
        runTransaction(database, () => {
          for (const id of added) {
            const json = JSON.stringify(sourceJson(catalogue.sources[id]!))
            insertSource.run([id, json, checksum(json, id)])
          }
          if (unknownRun !== undefined) {
            const json = JSON.stringify(runJson(unknownRun))
            insertRun.run([json, checksum(json, 0)])
          }
          insert.run(row)
        })
        for (const id of added) sources.set(id, catalogue.sources[id]!)
        if (unknownRun !== undefined) run = catalogue.run ??= unknownRun
      }
      bytes += data.length
    },
    read: (from, limit) => {
      for (let at = from;;) {
        const items: Array<Item> = []
        let last = at
        for (const row of select.all([at, at + limit])) {
          const start = Number(row["first"])
          if (items.length > 0 && start > at + items.length) break
          const read = itemsOf(start, Number(row["count"]), Number(row["sum"]), row["data"])
          last = Math.max(last, start)
          if (read !== null) {
            if (items.length === 0) at = Math.max(at, start)
            items.push(...read.slice(Math.max(0, at + items.length - start)))
          } else if (items.length > 0) break
        }
        if (items.length > 0) return { from: at, items }
        const [next] = after.all([last])
        // A damaged tree can lead back.
        if (next === undefined || Number(next["first"]) <= last) return null
        at = Number(next["first"])
      }
    },
    end: () => {
      const [row] = last.all([])
      return row === undefined ? first : Number(row["first"]) + Number(row["count"])
    }
  }

  /** The items of a row; null if it is damaged, or if what it needs to be read is. */
  function itemsOf(first: number, count: number, sum: number, data: unknown): ReadonlyArray<Item> | null {
    if (!(data instanceof Uint8Array) || checksum(data, first) !== sum) return null
    const items = unpack(data, catalogue.run, (id) => sources.get(id))
    return items?.length === count ? items : null
  }
}

/** A source as it is stored. */
export type SourceJson = ReturnType<typeof sourceJson>

export const sourceJson = ({ device, format, unitId }: Source) => ({ device, unitId, fields: format.fields })

export const sourceFrom = ({ device, fields, unitId }: SourceJson): Source => ({
  device,
  unitId,
  format: FrameFormat.make(fields)
})

const runJson = ({ devices, ...run }: Run) => ({
  ...run,
  devices: devices.map(({ format, ...device }) => ({ ...device, fields: format?.fields ?? null }))
})

const runFrom = ({ devices, ...run }: ReturnType<typeof runJson>): Run => ({
  ...run,
  devices: devices.map(({ fields, ...device }): Device => ({
    ...device,
    format: fields === null ? null : FrameFormat.make(fields)
  }))
})
