/**
 * Which devices on a port have a reply outstanding, so that a late reply is never taken for the reply to the next request. What
 * is outstanding stays so while the port is closed and opened again.
 *
 * A poll reply carries no request number, but a device answers in order. To resynchronise, a device with an outstanding line is
 * asked for a table. Everything that comes before the table is thrown away.
 *
 * - Tables can be late too. Another one is requested only after the longest silence, when nothing earlier can come any more.
 * - A rejection names neither its device nor its request. A device that rejects tables is resynchronised by silence.
 * - Some devices reject the command that stops streaming, others are silent on it. A rejection that comes before the next reply
 *   of the device is the answer to that command, and to no later request.
 * - A table alone is no reason to resynchronise. No row of it can be taken for a reading.
 */
import { Duration } from "effect"

/** What answers a request. */
export type Answer = "line" | "table"

interface Outstanding {
  /** Requests that one line answers. */
  lines: number
  tablesRequested: number
  tablesReceived: number
  /** The kind of the last row heard (`D` or `M`), and the lowest number of such a row. Some tables lack their first row. */
  rowKind: string
  lowestRow: number
  /** When it was last asked or heard. */
  quietSinceNanos: number
  /** Until then, more rows of a table may come. */
  tableUntilNanos: number
}

/** The longest silence, in time-outs. */
const SILENT_TIMEOUTS = 6

/** A table ends with this much silence. */
export const TABLE_SILENCE_MS = 100

export class OutstandingReplies {
  private readonly byUnit = new Map<string, Outstanding>()
  /** The device that was told to stop and may still reject that. */
  private stopped: string | null = null
  private readonly tableNanos: number
  /** A device that was silent for so long no longer answers earlier requests. */
  readonly silenceMs: number

  /** `lineTimeout` is how long a device may take to answer with a line. The first row of a table may take twice that. */
  constructor(lineTimeout: Duration.Duration) {
    const lineMs = Duration.toMillis(lineTimeout)
    this.silenceMs = SILENT_TIMEOUTS * lineMs
    this.tableNanos = 2 * lineMs * 1e6
  }

  has(unit: string): boolean {
    return this.byUnit.has(unit)
  }

  /** Whether a line is outstanding, which could be taken for the reply to the next request. */
  hasLine(unit: string): boolean {
    return (this.byUnit.get(unit)?.lines ?? 0) > 0
  }

  /** Whether nothing but a table is outstanding, and it may still be on its way. */
  isSendingTable(unit: string, nowNanos: number): boolean {
    const outstanding = this.byUnit.get(unit)
    return outstanding !== undefined && outstanding.lines === 0 && nowNanos < outstanding.tableUntilNanos
  }

  /** A request was sent. */
  requested(unit: string, answer: Answer, atNanos: number): void {
    const outstanding = this.asked(unit, atNanos)
    if (answer === "line") outstanding.lines++
    else {
      outstanding.tablesRequested++
      outstanding.tableUntilNanos = atNanos + this.tableNanos
    }
  }

  /** A command was sent that stops streaming. */
  toldToStop(unit: string): void {
    this.stopped = unit
  }

  /** The last request was answered, unless it may have been an earlier one of the same kind. Then nothing earlier can come. */
  answered(unit: string, answer: Answer): void {
    if (this.stopped === unit) this.stopped = null
    if (answer === "line" ? this.byUnit.get(unit)?.lines === 1 : this.isResynchronised(unit)) this.clear(unit)
  }

  /** A request was answered with a rejection. It is the answer only if no other request can be meant. */
  rejected(unit: string, nowNanos: number): void {
    const { lines, tablesRequested } = this.byUnit.get(unit) ?? { lines: 0, tablesRequested: 0 }
    const others = [...this.byUnit.keys()].filter((other) => other !== unit && !this.isQuiet(other, nowNanos))
    if (lines + tablesRequested === 1 && others.length === 0) this.clear(unit)
  }

  /** Nothing that was requested of the unit can still come. */
  clear(unit: string): void {
    this.byUnit.delete(unit)
  }

  /** A line came, from any unit. False if it rejects the command that stops streaming: it answers no request. */
  heard(text: string, atNanos: number): boolean {
    const outstanding = this.byUnit.get(text[0] ?? "")
    if (text.startsWith("?")) {
      for (const each of this.byUnit.values()) each.quietSinceNanos = atNanos
      const isOfStop = this.stopped !== null
      this.stopped = null
      return !isOfStop
    }
    if (outstanding !== undefined && text[1] === " ") {
      outstanding.quietSinceNanos = atNanos
      const [, kind, row] = TABLE_ROW.exec(text) ?? []
      if (kind !== undefined) heardRow(outstanding, kind, Number(row), atNanos)
    }
    return true
  }

  /** Whether the unit has sent nothing for so long that nothing more will come. */
  isQuiet(unit: string, nowNanos: number): boolean {
    const outstanding = this.byUnit.get(unit)
    return outstanding === undefined || nowNanos - outstanding.quietSinceNanos > this.silenceMs * 1e6
  }

  /** How long it takes until all units have been silent for so long, if none is asked or heard. */
  nanosUntilQuiet(nowNanos: number): number {
    const since = Math.max(...[...this.byUnit.values()].map(({ quietSinceNanos }) => quietSinceNanos))
    return this.byUnit.size === 0 ? 0 : Math.max(0, since + this.silenceMs * 1e6 - nowNanos)
  }

  /** Forgets what can no longer come. */
  clearQuiet(nowNanos: number): void {
    for (const unit of this.byUnit.keys()) if (this.isQuiet(unit, nowNanos)) this.clear(unit)
  }

  /** Whether to request a table now; counts the request. If not, tables that were requested are still to come. */
  requestsTable(unit: string, nowNanos: number): boolean {
    const outstanding = this.byUnit.get(unit)
    if (outstanding === undefined) return false
    if (this.isQuiet(unit, nowNanos)) Object.assign(outstanding, { tablesRequested: 0, tablesReceived: 0 })
    if (outstanding.tablesReceived < outstanding.tablesRequested) return false
    outstanding.tablesRequested++
    outstanding.quietSinceNanos = nowNanos
    return true
  }

  /** Whether nothing more can come after a table of this unit. */
  isResynchronised(unit: string): boolean {
    const outstanding = this.byUnit.get(unit)
    if (outstanding === undefined) return true
    const { tablesReceived, tablesRequested } = outstanding
    return tablesReceived > 0 && tablesReceived >= tablesRequested
  }

  private asked(unit: string, atNanos: number): Outstanding {
    const outstanding = this.byUnit.get(unit) ?? {
      lines: 0,
      tablesRequested: 0,
      tablesReceived: 0,
      rowKind: "",
      lowestRow: 0,
      quietSinceNanos: atNanos,
      tableUntilNanos: atNanos
    }
    outstanding.quietSinceNanos = atNanos
    this.byUnit.set(unit, outstanding)
    return outstanding
  }
}

const heardRow = (outstanding: Outstanding, kind: string, row: number, atNanos: number): void => {
  outstanding.tableUntilNanos = atNanos + TABLE_SILENCE_MS * 1e6
  if (kind === outstanding.rowKind && row > outstanding.lowestRow) return
  outstanding.tablesReceived++
  outstanding.rowKind = kind
  outstanding.lowestRow = row
}

/** A row of a frame or manufacturing table: `A D02 ...`, `A M4 ...`. It may be blank: `A M1`. */
export const isTableRow = (text: string): boolean => TABLE_ROW.test(text)

const TABLE_ROW = /^[A-Z]\s+([DM])(\d{1,2})(?:\s|$)/
