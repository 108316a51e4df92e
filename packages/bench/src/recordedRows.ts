/**
 * The rows that a run has left in its CSV file: what they look like, how many there are, and how late they were requested.
 */
import * as fs from "node:fs"

export interface RecordedRows {
  readonly columns: ReadonlyArray<string>
  /** For each column, the kinds of text in it. */
  readonly kinds: ReadonlyArray<string>
  readonly rows: number
  /** Microseconds since the epoch, in the order of the rows. */
  readonly requestedAt: ReadonlyArray<number>
  readonly receivedAt: ReadonlyArray<number>
}

export const readRows = (file: string): RecordedRows => {
  const [header = "", ...lines] = fs.readFileSync(file, "utf8").trimEnd().split("\n")
  const columns = header.split(",")
  const rows = lines.map((line) => line.split(","))
  const timesOf = (column: string) => {
    const at = columns.indexOf(column)
    return rows.map((row) => microsOf(row[at]!))
  }
  return {
    columns,
    kinds: columns.map((_, at) => [...new Set(rows.map((row) => kindOf(row[at])))].toSorted().join(" or ")),
    rows: rows.length,
    requestedAt: timesOf("requested_at"),
    receivedAt: timesOf("received_at")
  }
}

const kindOf = (cell: string | undefined): string => {
  if (cell === undefined) return "missing"
  if (cell === "") return "empty"
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(cell)) return "time"
  if (!/^-?\d/.test(cell)) return "text"
  const value = Number(cell)
  return cell === (Number.isInteger(value) ? value.toFixed(1) : String(value)) ? "float" : "other number"
}

/** Microseconds since the epoch, from a time with six decimals. */
const microsOf = (text: string): number => Date.parse(`${text.slice(0, 19)}Z`) * 1000 + Number(text.slice(20, 26))

/** What a run says of its rows. */
export interface Account {
  readonly rows: RecordedRows
  /** Rows that are not there because a tick was late or a poll failed. */
  readonly lost: number
}

/** What two runs of the same length differ in, beyond what each says it has lost. Nothing if they can be compared. */
export const differences = (ours: Account, plain: Account): ReadonlyArray<string> => {
  const found: Array<string> = []
  const compare = (what: string, our: unknown, their: unknown) => {
    if (String(our) !== String(their)) {
      found.push(`${what}: ${String(our)}, but ${String(their)} in the plain poller's file`)
    }
  }
  compare("columns", ours.rows.columns, plain.rows.columns)
  compare("kinds of text", ours.rows.kinds, plain.rows.kinds)
  compare("rows and what was lost", ours.rows.rows + ours.lost, plain.rows.rows + plain.lost)
  return found
}

/** Of requests on a grid, how long after their slot each was made, in milliseconds. Below the period, as a recorder skips slots. */
export const latenessMs = (requestedAt: ReadonlyArray<number>, periodMicros: number): ReadonlyArray<number> => {
  const phases = requestedAt.map((at) => at % periodMicros)
  const origin = originOf(phases.toSorted((a, b) => a - b), periodMicros)
  return phases.map((phase) => ((phase - origin + periodMicros) % periodMicros) / 1000)
}

/** No gap among the requests of a tick is as long as this share of the period. */
const GAP = 0.01

/** The phase of the grid: where the requests begin that most of the others follow closely. A late one may be anywhere. */
const originOf = (sorted: ReadonlyArray<number>, period: number): number => {
  const count = sorted.length
  const half = Math.floor(count / 2)
  const from = (at: number, to: number) =>
    (sorted[(to + count) % count]! - sorted[(at + count) % count]! + period) % period
  let densest = 0
  for (let at = 1; at < count; at++) if (from(at, at + half) < from(densest, densest + half)) densest = at
  let first = densest
  while (first > densest - count && from(first - 1, first) < GAP * period) first--
  return sorted[(first + count) % count]!
}
