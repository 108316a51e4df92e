/**
 * Records of CSV (RFC 4180), read from bytes. Pure. A row of seventeen columns takes less than a microsecond: only what is asked for
 * and is text becomes a string.
 *
 * A record may have line ends within quotes. From the middle of a file nobody can tell for sure whether a line end is one of those, so
 * both are tried: a record must have all its fields, a time, and nothing else in the columns for times. Only a text that holds whole
 * records of the same file could deceive this.
 */
import type { ColumnBuilder } from "./ColumnBuilder.ts"
import { DAMAGED, INCOMPLETE, type RecordReader } from "./TextRecords.ts"

const [QUOTE, COMMA, NEWLINE, RETURN] = [0x22, 0x2c, 0x0a, 0x0d]

export class CsvRecords implements RecordReader {
  readonly builders: ReadonlyMap<string, ColumnBuilder>
  private readonly fields: ReadonlyArray<ColumnBuilder | null>
  private readonly likelihood: CsvRecords | null

  /**
   * `header` are the names of the fields; those without a builder are passed over. `times` are builders for the columns that have a time in
   * each record.
   */
  constructor(
    header: ReadonlyArray<string>,
    builders: ReadonlyMap<string, ColumnBuilder>,
    times: ReadonlyMap<string, ColumnBuilder>
  ) {
    this.builders = builders
    this.fields = header.map((name) => builders.get(name) ?? null)
    this.likelihood = builders === times ? null : new CsvRecords(header, times, times)
  }

  read(bytes: Buffer, at: number, end: number, row: number): number {
    const { fields } = this
    const last = fields.length - 1
    let place = at
    for (let field = 0; field <= last; field++) {
      const builder = fields[field]!
      const start = place
      if (bytes[start] === QUOTE) {
        place = behindQuotes(bytes, start, end)
        if (place < 0) return INCOMPLETE
        if (builder !== null) readQuoted(builder, row, bytes, start + 1, place - 1)
        if (bytes[place] === RETURN && bytes[place + 1] === NEWLINE) place++
      } else {
        let byte = bytes[place]
        while (byte !== COMMA && byte !== NEWLINE) byte = bytes[++place]
        const isReturned = byte === NEWLINE && place > start && bytes[place - 1] === RETURN
        const stop = isReturned ? place - 1 : place
        if (builder !== null && stop > start && place < end) builder.bytes(row, bytes, start, stop)
      }
      if (place >= end) return INCOMPLETE
      if (bytes[place] !== (field < last ? COMMA : NEWLINE)) return DAMAGED
      place++
    }
    return place
  }

  nextAfter(bytes: Buffer, at: number, end: number, isLast: boolean): number {
    for (let line = at; line >= 0;) {
      const outside = nextLine(bytes, line, end, false)
      const isOutside = this.beginsAt(bytes, outside, end)
      if (isOutside === true) return outside
      if (isOutside === null && !isLast) return INCOMPLETE
      const inside = nextLine(bytes, line, end, true)
      const isInside = this.beginsAt(bytes, inside, end)
      if (isInside === true) return inside
      if (isInside === null && !isLast && end < LONGEST_TEXT) return INCOMPLETE
      // Neither: this line is damaged.
      line = outside
    }
    return INCOMPLETE
  }

  /** Whether a record begins there; null if that is not known. */
  private beginsAt(bytes: Buffer, at: number, end: number): boolean | null {
    if (at < 0) return null
    const records = this.likelihood ?? this
    const next = records.read(bytes, at, end, 0)
    const times = [...records.builders.values()]
    const isRecord = times.every(({ hasText }) => !hasText) && times.some((time) => time.hasNumber(0))
    for (const time of times) time.take(1)
    return next === INCOMPLETE ? null : next !== DAMAGED && isRecord
  }
}

/** Quotes that open in so many bytes and do not close are not looked at further. */
const LONGEST_TEXT = 1 << 20

/** The names in the header at the beginning of a file, and where it ends; null if it is not complete. */
export const headerIn = (
  bytes: Buffer,
  end: number
): { readonly names: ReadonlyArray<string>; readonly end: number } | null => {
  const next = nextLine(bytes, 0, end, false)
  if (next < 0) return null
  const names: Array<string> = []
  for (let start = bytes.subarray(0, 3).equals(MARK) ? 3 : 0; start < next;) {
    const isQuoted = bytes[start] === QUOTE
    let stop = isQuoted ? behindQuotes(bytes, start, next) : start
    while (bytes[stop] !== COMMA && bytes[stop] !== NEWLINE) stop++
    const text = bytes.toString("utf8", start, stop).replace(/\r$/, "")
    names.push(isQuoted ? text.slice(1, -1).replaceAll("\"\"", "\"") : text)
    start = stop + 1
  }
  return { names, end: next }
}

/** Some programs write it at the beginning of UTF-8. */
const MARK = Buffer.from([0xef, 0xbb, 0xbf])

/** Behind the next line end that is not in quotes. */
const nextLine = (bytes: Buffer, at: number, end: number, isInQuotes: boolean): number => {
  let inQuotes = isInQuotes
  for (let place = at; place < end; place++) {
    const byte = bytes[place]
    if (byte === QUOTE) inQuotes = !inQuotes
    else if (byte === NEWLINE && !inQuotes) return place + 1
  }
  return INCOMPLETE
}

/** Behind the quotes that begin at `at`. */
const behindQuotes = (bytes: Buffer, at: number, end: number): number => {
  for (let place = at + 1; place < end; place++) {
    if (bytes[place] !== QUOTE) continue
    if (place + 1 < end && bytes[place + 1] === QUOTE) place++
    else return place + 1
  }
  return INCOMPLETE
}

const readQuoted = (builder: ColumnBuilder, row: number, bytes: Buffer, from: number, to: number): void => {
  if (bytes.subarray(from, to).includes(QUOTE)) {
    builder.text(row, bytes.toString("utf8", from, to).replaceAll("\"\"", "\""))
  } else builder.bytes(row, bytes, from, to)
}
