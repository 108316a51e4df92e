/**
 * The figures as a Markdown table, and its place in a README: between two marks.
 */
import { daysAMinute, type Measured, pathOf } from "./results.ts"

export const readmeTable = (rows: ReadonlyArray<Measured>): string =>
  [
    "| sink | samples a second | of the machine's limit | recorded at 100 Hz, written in a minute |",
    "| --- | ---: | ---: | ---: |",
    ...rows.map((row) => {
      const samples = Number(row.samplesPerSecond.toPrecision(3)).toLocaleString("en-US")
      const days = Number(daysAMinute(row).toPrecision(2))
      return `| ${pathOf(row)} | ${samples} | ${row.ratio.toFixed(2)} | ${days} days |`
    }),
    ""
  ].join("\n")

const [BEGIN, END] = ["<!-- figures -->\n", "<!-- end of figures -->"]

export const withTable = (readme: string, table: string): string =>
  readme.slice(0, readme.indexOf(BEGIN) + BEGIN.length) + table + readme.slice(readme.indexOf(END))
