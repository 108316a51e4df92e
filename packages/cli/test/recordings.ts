/**
 * Reads back what a recording left: rows, JSON lines, the summary.
 */
import { assert } from "@effect/vitest"
import { parse } from "csv-parse/sync"
import { Effect, Schedule } from "effect"
import * as fs from "node:fs"

/** The rows of a CSV file. */
export const rowsOf = (path: string) =>
  parse(fs.readFileSync(path, "utf8"), { columns: true }) as ReadonlyArray<{ readonly [column: string]: string }>

export const linesOf = (text: string) =>
  text.split("\n").slice(0, -1).map((line): { readonly [column: string]: unknown } => JSON.parse(line))

export interface JsonSummary {
  readonly ticks: number
  readonly samplesEmitted: number
  readonly samplesLate: number
  readonly failures: { readonly [device: string]: number }
  readonly sinks: ReadonlyArray<{ readonly target: string; readonly rows: number; readonly error: string | null }>
}

/** The summary among the lines on stderr. */
export const summaryIn = (stderr: string): JsonSummary =>
  JSON.parse(stderr.split("\n").find((line) => line.startsWith("{")) ?? assert.fail(`no summary in ${stderr}`))

/** Waits until the condition holds. Polls, for things that give no event. */
export const eventually = (condition: () => boolean) =>
  Effect.suspend(() => condition() ? Effect.void : Effect.fail("not yet")).pipe(
    Effect.retry(Schedule.spaced("20 millis"))
  )

export const fileGrowsBeyond = (path: string, bytes: number) =>
  eventually(() => fs.existsSync(path) && fs.statSync(path).size > bytes)
