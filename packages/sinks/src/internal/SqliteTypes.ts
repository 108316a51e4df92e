/**
 * The column types of SQLite: what a column of a declared type gets (https://sqlite.org/datatype3.html). Pure.
 *
 * SQLite lets every column hold every value. A column for text gets texts, one for numbers gets numbers, and one of any other
 * type, such as BLOB or STRING, gets both. A column of integers keeps decimals too. Only a STRICT table refuses values.
 */
import type { ColumnType } from "@sampleline/core"
import { dateText, datetimeText, type Storing, timestampText } from "./TableFit.ts"

/** How a column stores values of a type. Undefined for texts in a column of numbers, and for what a STRICT table refuses. */
export const storedInSqlite = (declared: string, isStrict: boolean, type: ColumnType): Storing | undefined => {
  if (isStrict && /^BLOB$/i.test(declared)) return undefined
  if (type === "timestamp") return { type, ...TIMES[timesIn(declared)] }
  if (isInteger(declared)) {
    if (type === "text" || (type === "float" && isStrict)) return undefined
    return { type: type === "int" || isStrict ? "int" : "float" }
  }
  if (isText(declared)) return { type: "text" }
  if (isReal(declared)) return type === "text" ? undefined : { type: "float" }
  return { type: "any" }
}

/** SQLite's own tests, in its order. */
const isInteger = (declared: string) => /INT/i.test(declared)
const isText = (declared: string) => /CHAR|CLOB|TEXT/i.test(declared)
const isReal = (declared: string) => /REAL|FLOA|DOUB/i.test(declared)

/** How a column stores times: as microseconds, as RFC 3339 text, or in the forms of SQLite's own functions. */
export const timesIn = (declared: string): keyof typeof TIMES =>
  isInteger(declared)
    ? "micros"
    : isText(declared)
    ? "text"
    : isReal(declared) || /NUM|DEC/i.test(declared)
    ? "micros"
    : /DATETIME|TIMESTAMP/i.test(declared)
    ? "datetime"
    : /DATE/i.test(declared)
    ? "date"
    : "text"

const TIMES = {
  micros: {},
  text: { convert: timestampText },
  datetime: { convert: datetimeText },
  date: { convert: dateText, loses: "the time of day" }
} as const

/** Whether SQLite keeps a number: it stores NaN as NULL. */
export const holdsInSqlite = (value: number): boolean => !Number.isNaN(value)
