/**
 * `<file>-events.jsonl` beside a text file: the events of its runs, one JSON object a line, as `eventToRow` gives them.
 *
 * The file is opened for each event, so it is always the one under its name. A line is written whole or not at all. If an event
 * cannot be written there is one warning, and recording goes on.
 */
import { type EventRow, eventToRow, messageOf, type RunEvent } from "@sampleline/core"
import { Effect, Predicate } from "effect"
import * as fs from "node:fs"
import type { Writer } from "./FileFailure.ts"
import type { FileMode } from "./OutputFile.ts"
import { endOfKilled } from "./RunTables.ts"

const eventsFileOf = (target: string): string => `${target}-events.jsonl`

export class EventsFile {
  private readonly writer: Writer
  private readonly path: string
  private readonly isAppending: boolean
  private readonly lastRowAt: string | null
  private hasBegun = false
  private isRefused = false

  /** `lastRowAt` is the time of the last row before this run; null if there is none. */
  constructor(writer: Writer, mode: FileMode, lastRowAt: string | null) {
    this.writer = writer
    this.path = eventsFileOf(writer.target)
    this.isAppending = mode === "append"
    this.lastRowAt = lastRowAt
  }

  write(event: RunEvent): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.isRefused) return Effect.void
      return Effect.catch(
        Effect.try(() => {
          const row = eventToRow(event)
          if (!this.hasBegun) this.begin(row.at)
          this.hasBegun = true
          appendLine(this.path, row)
        }),
        ({ cause }) => {
          this.isRefused = true
          const { sink, target } = this.writer
          return Effect.logWarning(`${sink} ${target}: events are not kept: ${this.path}: ${messageOf(cause)}`)
        }
      )
    })
  }

  /** Keeps the events of earlier runs if the rows are kept, and ends the runs that were killed. */
  private begin(at: string): void {
    const text = fs.existsSync(this.path) ? fs.readFileSync(this.path, "utf8") : ""
    const complete = text.slice(0, text.lastIndexOf("\n") + 1)
    const rows = complete.split("\n").slice(0, -1).map(parseRow)
    if (text !== "" && (rows.length === 0 || rows.includes(null))) {
      throw new Error("another program made the file that is there")
    }
    if (!this.isAppending) return fs.writeFileSync(this.path, "")
    if (complete !== text) fs.truncateSync(this.path, Buffer.byteLength(complete))
    for (const row of killedRuns(rows.filter(Predicate.isNotNull), this.lastRowAt, at)) appendLine(this.path, row)
  }
}

const parseRow = (line: string): EventRow | null => {
  try {
    const row: unknown = JSON.parse(line)
    return Predicate.isObject(row) && "run_id" in row && "event" in row ? row as unknown as EventRow : null
  } catch {
    return null
  }
}

/** The ends of the runs that have none. */
const killedRuns = (
  rows: ReadonlyArray<EventRow>,
  lastRowAt: string | null,
  at: string
): ReadonlyArray<EventRow> => {
  const ended = new Set(rows.filter(({ event }) => event === "RunEnded").map((row) => row.run_id))
  return rows.filter(({ event, run_id }) => event === "RunStarted" && !ended.has(run_id)).map((start) =>
    endOfKilled({ runId: start.run_id, startedAt: start.at, lastRowAt, at })
  )
}

/** One line, whole or not at all. */
const appendLine = (path: string, row: EventRow): void => {
  const line = Buffer.from(`${JSON.stringify(row)}\n`)
  const fd = fs.openSync(path, "a")
  try {
    const { size } = fs.fstatSync(fd)
    if (fs.writeSync(fd, line) < line.length) {
      fs.ftruncateSync(fd, size)
      throw new Error("the disk is full")
    }
  } finally {
    fs.closeSync(fd)
  }
}
