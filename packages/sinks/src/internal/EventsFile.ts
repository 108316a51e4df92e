/**
 * `<file>-events.jsonl` beside a text file: the events of its runs, one JSON object a line, as `eventToRow` gives them.
 *
 * The file is opened for each event, so it is always the one under its name. A line is written whole or not at all. If an event
 * cannot be written there is one warning, and recording goes on. A journal writes it again instead.
 */
import { type EventRow, eventToRow, messageOf, type RunEvent } from "@sampleline/core"
import { syncFile } from "@sampleline/sqlite"
import { type Cause, Effect, Predicate } from "effect"
import * as fs from "node:fs"
import { crc32 } from "node:zlib"
import type { Writer } from "./FileFailure.ts"
import { Disk, type FileMode, writeAll } from "./OutputFile.ts"
import { type FilePlace, NOTHING, Rewriting, sumOf, tailBehind, tailOfMoved } from "./Rewriting.ts"
import { endsOfKilled, OUTAGE_EVENTS } from "./RunTables.ts"

/** The name of the events file of a text file. */
export const eventsFileOf = (target: string): string => `${target}-events.jsonl`

export class EventsFile {
  private readonly writer: Writer
  private readonly path: string
  private readonly isAppending: boolean
  private readonly lastRowAt: string | null
  private disk: Disk
  private hasBegun = false
  private isSynced = true
  private isRefused = false
  private held: FilePlace | undefined
  private rewriting = new Rewriting(Buffer.alloc(0))
  /** What the file that was moved away holds behind the last place that is known. */
  private moved = new Rewriting(Buffer.alloc(0))

  /** `lastRowAt` is the time of the last row before this run; null if there is none. */
  constructor(writer: Writer, mode: FileMode, lastRowAt: string | null) {
    this.writer = writer
    this.path = eventsFileOf(writer.target)
    this.disk = new Disk(this.path)
    this.isAppending = mode === "append"
    this.lastRowAt = lastRowAt
  }

  /** Never fails: events are beside the samples. */
  write(event: RunEvent): Effect.Effect<void> {
    return Effect.catch(this.writeOrFail(event), ({ cause }) => this.refuse(cause))
  }

  /** If it fails, the event can be written again behind an earlier place. */
  writeOrFail(event: RunEvent): Effect.Effect<void, Cause.UnknownError> {
    const row = eventToRow(event)
    return Effect.andThen(
      this.beginAt(row.at),
      Effect.try(() => {
        if (this.isRefused) return
        if (row.event === "RunEnded" && this.keepLost(row.run_id)) return
        this.append(row)
      })
    )
  }

  private refuse(cause: unknown): Effect.Effect<void> {
    this.isRefused = true
    const { sink, target } = this.writer
    return Effect.logWarning(`${sink} ${target}: events are not kept: ${this.path}: ${messageOf(cause)}`)
  }

  /** Forces it to disk. */
  readonly sync: Effect.Effect<void, NodeJS.ErrnoException> = Effect.suspend(() => {
    if (this.isSynced) return Effect.void
    this.isSynced = true
    return Effect.onError(syncFile(this.path), () =>
      Effect.sync(() => {
        this.isSynced = false
      }))
  })

  /** How far it is; null if events are not kept. */
  get place(): FilePlace | null {
    if (this.isRefused) return null
    return this.held ??= withFile(this.path, (fd) => {
      const bytes = fs.fstatSync(fd).size
      return { bytes, sum: sumOf(fd, bytes)! }
    })
  }

  /** Begins, so that the place before the first event is known. A file of another program is left alone, with a warning. */
  beginAt(at: string): Effect.Effect<void, Cause.UnknownError> {
    return Effect.suspend(() => {
      if (this.hasBegun || this.isRefused) return Effect.void
      return Effect.catchIf(
        Effect.try(() => {
          this.begin(at)
          this.isSynced = false
          this.hasBegun = true
        }),
        ({ cause }) => cause instanceof ForeignError,
        ({ cause }) => this.refuse(cause)
      )
    })
  }

  /** Goes on behind an earlier place: what stands there is written again. Throws if someone has changed it. */
  goBackTo(place: FilePlace): void {
    this.hasBegun = true
    this.moved = new Rewriting(Buffer.alloc(0))
    if (sizeOf(this.path) === 0) {
      if (place.bytes > 0) this.moved = new Rewriting(tailOfMoved(this.path, place))
      this.beginAnew()
    } else {
      const tail = withFile(this.path, (fd) => tailBehind(fd, place))
      const complete = tail.lastIndexOf("\n") + 1
      fs.truncateSync(this.path, place.bytes + complete)
      this.rewriting = new Rewriting(tail.subarray(0, complete))
      this.held = place
      // A disk that is back may have another number.
      this.disk = new Disk(this.path)
    }
  }

  /** Whether the file was moved or removed. If so, a new one begins. */
  beginAnewIfGone(): boolean {
    const isGone = this.held !== undefined && this.held.bytes > 0 && sizeOf(this.path) === 0
    if (isGone) this.beginAnew()
    return isGone
  }

  private beginAnew(): void {
    this.disk.expect()
    fs.writeFileSync(this.path, "")
    this.rewriting = new Rewriting(Buffer.alloc(0))
    this.held = NOTHING
  }

  /**
   * When a run ends, events of it can be left that its journal has lost in a power cut. They stay. Whether the end is one of them.
   */
  private keepLost(runId: string): boolean {
    const { rest } = this.rewriting
    const rows = rest.toString().split("\n").slice(0, -1).map(parseEventRow)
    if (this.held === undefined || rows.some((row) => row?.run_id !== runId)) return false
    this.rewriting.pass(rest.length)
    this.held = { bytes: this.held.bytes + rest.length, sum: crc32(rest, this.held.sum) }
    this.isSynced = false
    return rows.some((row) => row?.event === "RunEnded")
  }

  private append(row: EventRow): void {
    const line = lineOf(row)
    if (this.moved.hasMore && this.moved.passWhole(line)) return
    const known = this.rewriting.known(line)
    if (sizeOf(this.path) === 0) this.disk.expect()
    // All of it: what is there may never have come to the disk.
    writeLine(this.path, line, known > 0 ? this.held!.bytes : null)
    this.isSynced = false
    this.rewriting.pass(known)
    if (this.held !== undefined) {
      this.held = { bytes: this.held.bytes + line.length, sum: crc32(line, this.held.sum) }
    }
  }

  /** Keeps the events of earlier runs if the rows are kept, and ends the runs that were killed. */
  private begin(at: string): void {
    const text = fs.existsSync(this.path) ? fs.readFileSync(this.path, "utf8") : ""
    const complete = text.slice(0, text.lastIndexOf("\n") + 1)
    const rows = complete.split("\n").slice(0, -1).map(parseEventRow)
    if (text !== "" && (rows.length === 0 || rows.includes(null))) {
      throw new ForeignError("another program made the file that is there")
    }
    if (!this.isAppending || text === "") return fs.writeFileSync(this.path, "")
    if (complete !== text) fs.truncateSync(this.path, Buffer.byteLength(complete))
    for (const row of killedRuns(rows.filter(Predicate.isNotNull), this.lastRowAt, at)) appendLine(this.path, row)
  }
}

class ForeignError extends Error {}

/** The event of a line; null if it is none. */
export const parseEventRow = (line: string): EventRow | null => {
  try {
    const row: unknown = JSON.parse(line)
    return Predicate.isObject(row) && "run_id" in row && "event" in row ? row as unknown as EventRow : null
  } catch {
    return null
  }
}

/** The ends of the runs that have none, and of what still failed in them. */
const killedRuns = (
  rows: ReadonlyArray<EventRow>,
  lastRowAt: string | null,
  at: string
): ReadonlyArray<EventRow> => {
  const ended = new Set(rows.filter(({ event }) => event === "RunEnded").map((row) => row.run_id))
  return rows.filter(({ event, run_id }) => event === "RunStarted" && !ended.has(run_id)).flatMap((start) => {
    const outages = rows.filter((row) => row.run_id === start.run_id && OUTAGE_EVENTS.includes(row.event))
    return endsOfKilled({ runId: start.run_id, startedAt: start.at, lastRowAt, at, outages })
  })
}

const lineOf = (row: EventRow): Buffer => Buffer.from(`${JSON.stringify(row)}\n`)

const appendLine = (path: string, row: EventRow): void => writeLine(path, lineOf(row), null)

/** Writes a line at a place, or at the end if that is null: all of it, or none that was not there. */
const writeLine = (path: string, line: Buffer, place: number | null): void => {
  const fd = fs.openSync(path, fs.constants.O_WRONLY | fs.constants.O_CREAT, 0o666)
  try {
    const { size } = fs.fstatSync(fd)
    try {
      writeAll(fd, line, place ?? size)
    } catch (error) {
      fs.ftruncateSync(fd, size)
      throw error
    }
  } finally {
    fs.closeSync(fd)
  }
}

/** 0 if there is none. */
const sizeOf = (path: string): number => fs.statSync(path, { throwIfNoEntry: false })?.size ?? 0

const withFile = <A>(path: string, use: (fd: number) => A): A => {
  const fd = fs.openSync(path, "r")
  try {
    return use(fd)
  } finally {
    fs.closeSync(fd)
  }
}
