/**
 * The data that the plots show, as CSV (RFC 4180). Pure. Times are UTC. `mean`, `min` and `max` are those of the `n` samples from
 * that time on; of a single sample they are its value.
 *
 * A spreadsheet takes a text that begins with `=`, `+`, `-` or `@` for a formula. Such texts get an apostrophe in front.
 */
import type { Series } from "./api.ts"
import type { Shown } from "./range.ts"
import { isoText } from "./times.ts"

export const csvOf = (rows: Iterable<Shown & { readonly series: Series }>): string => {
  const lines = ["time,device,field,unit,mean,min,max,n"]
  for (const { from, max, mean, min, n, series: { device, field, unit } } of rows) {
    lines.push([isoText(from), cellOf(device), cellOf(field), cellOf(unit ?? ""), mean, min, max, n].join(","))
  }
  return `${lines.join("\r\n")}\r\n`
}

const cellOf = (text: string): string => {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll("\"", "\"\"")}"` : safe
}
