import { assert, it } from "@effect/vitest"
import { Schema } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { canMeasureProcesses } from "../src/processUsage.ts"
import { differences, latenessMs, readRows } from "../src/recordedRows.ts"
import { type Measured, tableOf } from "../src/recordingResults.ts"
import { run } from "./run.ts"

it("the benchmark of a recording measures the command and the plain poller on the same ttys", () => {
  const args = ["--only", "tty, 100 Hz, csv$", "--seconds", "1", "--warm-up", "1", "--rounds", "1", "--json"]
  const rows: ReadonlyArray<Measured> = JSON.parse(run("recording", args))
  assert.deepStrictEqual(rows.map(({ program, rateHz, transport }) => [transport, rateHz, program]), [
    ["tty", 100, "plain poller"],
    ["tty", 100, "csv"]
  ])
  for (const row of rows) {
    assert.isTrue(row.p50Ms >= 0 && row.p50Ms <= row.p99Ms && row.p99Ms <= row.maxMs && row.maxMs < 10)
    assert.isAbove(row.firstSampleSeconds, 0)
    assert.lengthOf(row.rounds, 1)
    if (!canMeasureProcesses) continue
    assert.isAbove(row.cpuPercent!, 0)
    // A thread waits at least once a tick.
    assert.isAbove(row.switchesPerSecond!, 50)
    assert.isAbove(row.residentMiB!, 10)
    assert.isAtLeast(row.highestResidentMiB!, row.residentMiB!)
  }
  const table = tableOf(rows).split("\n")
  const columns = "port Hz program CPU % range ratio switch/s MiB top late p50 p99 max 1st s"
  assert.strictEqual(table[0]!.replaceAll(/ +/g, " "), columns)
  assert.deepStrictEqual(table.slice(1, 3).map((line) => line.slice(0, 24).trim()), [
    "tty   100  plain poller",
    "tty   100  csv"
  ])
  assert.isTrue(table.every((line) => line.length <= 100), table.join("\n"))
})

const HEADER = "device,requested_at,received_at,Pressure,Gas"
const row = (second: number, pressure = "14.7") =>
  `sim1,2026-03-01T12:00:0${second}.000100Z,2026-03-01T12:00:0${second}.000900Z,${pressure},N2`

/** The account of a file with these lines. */
const account = (lines: ReadonlyArray<string>, lost = 0) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "rows-"))
  fs.writeFileSync(`${folder}/run.csv`, `${lines.join("\n")}\n`)
  const rows = readRows(`${folder}/run.csv`)
  fs.rmSync(folder, { recursive: true })
  return { rows, lost }
}

const plain = account([HEADER, row(0), row(1), row(2)])

it("two runs can be compared if they have the same rows, but for those that each says it has lost", () => {
  assert.deepStrictEqual(differences(account([HEADER, row(0), row(1, "14.65"), row(2)]), plain), [])
  assert.deepStrictEqual(differences(account([HEADER, row(0), row(2)], 1), plain), [])
})

it.each([
  ["a row is missing", [HEADER, row(0), row(2)], /^rows and what was lost: 2, but 3/],
  ["a column has another name", [HEADER.replace("Gas", "gas"), row(0), row(1), row(2)], /^columns: /],
  ["a float is written in another way", [HEADER, row(0), row(1, "14.70"), row(2)], /^kinds of text: .*other number/],
  ["a value is missing", [HEADER, row(0), row(1, ""), row(2)], /^kinds of text: .*empty or float/]
])("two runs cannot be compared if %s", (_, lines, expected) => {
  const found = differences(account(lines), plain)
  assert.lengthOf(found, 1)
  assert.match(found[0]!, expected)
})

it("times of a file are read with their microseconds", () => {
  assert.deepStrictEqual(plain.rows.requestedAt.map((at) => at % 60_000_000), [100, 1_000_100, 2_000_100])
  assert.deepStrictEqual(plain.rows.receivedAt.map((at) => at % 60_000_000), [900, 1_000_900, 2_000_900])
})

const PERIOD = 10_000
const micros = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

it.prop("lateness is found without knowing when the grid began, whatever slots were skipped", [
  micros(0, PERIOD),
  Schema.Array(micros(0, 99)),
  Schema.Array(micros(500, 9000)).check(Schema.isMaxLength(20)),
  micros(1, 5)
], ([phase, onTime, late, step]) => {
  const start = 1_772_366_400_000_000 + phase
  const expected = [...Array.from({ length: 30 }, () => 0), ...onTime, ...late]
  const requestedAt = expected.map((lateness, index) => start + index * step * PERIOD + lateness)
  assert.deepStrictEqual(latenessMs(requestedAt, PERIOD), expected.map((lateness) => lateness / 1000))
})
