/**
 * The figures as a Markdown table, and its place in a README: between two marks.
 */
import { daysAMinute, type Measured, pathOf, rangeOf } from "./results.ts"

export const readmeTable = (rows: ReadonlyArray<Measured>): string =>
  [
    "| sink | samples a second | of the machine's limit | processor time, µs a sample | recorded at 100 Hz, written in a minute |",
    "| --- | ---: | ---: | ---: | ---: |",
    ...rows.map((row) => {
      const samples = Number(row.samplesPerSecond.toPrecision(3)).toLocaleString("en-US")
      const days = Number(daysAMinute(row).toPrecision(2))
      const ratio = `${row.ratio.toFixed(2)} (${rangeOf(row, "–")})`
      return `| ${pathOf(row)} | ${samples} | ${ratio} | ${row.cpuMicros.toFixed(2)} | ${days} days |`
    }),
    ""
  ].join("\n")

const [BEGIN, END] = ["<!-- figures -->\n", "<!-- end of figures -->"]

export const withTable = (readme: string, table: string): string =>
  readme.slice(0, readme.indexOf(BEGIN) + BEGIN.length) + table + readme.slice(readme.indexOf(END))
