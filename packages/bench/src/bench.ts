/**
 * How many samples a second each sink takes through `pipeToSink`, and how many the machine can write without our code.
 *
 *     npm run bench -- --only "CSV" --rounds 5 --json
 *
 * Each case runs in its own process. There the sink and its limit take turns. The results are medians of the rounds. The ratio
 * of the two depends less on the machine than the figures do.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { fileURLToPath } from "node:url"
import { cases, nameOf, SHAPES } from "./cases.ts"
import { measure } from "./measure.ts"
import { daysAMinute, decodeRows, encodeRows, type Measured, rangeOf } from "./results.ts"
import { runApart } from "./runApart.ts"
import { textTable } from "./textTable.ts"
import { warningsOnStderr } from "./warningsOnStderr.ts"

/** Runs this program again for one case. */
const measureApart = (name: string, rounds: number, scale: number): Effect.Effect<Measured> => {
  const args = ["--only", name, "--rounds", String(rounds), "--scale", String(scale), "--json"]
  return runApart(fileURLToPath(import.meta.url), args).pipe(
    Effect.flatMap(decodeRows),
    Effect.map(([row]) => row!),
    Effect.orDie
  )
}

const tableOf = (rows: ReadonlyArray<Measured>): string => {
  const whole = (value: number) => Math.round(value).toLocaleString("en-US")
  return textTable([
    [
      "sink",
      "variant",
      "fields",
      "batch",
      "samples/s",
      "limit/s",
      "ratio",
      "range",
      "CPU us",
      "its limit",
      "bytes",
      "RSS MiB",
      "days/min"
    ],
    ...rows.map((row) => [
      row.sink,
      row.variant,
      String(row.fields),
      String(row.batch),
      whole(row.samplesPerSecond),
      whole(row.limitPerSecond),
      row.ratio.toFixed(2),
      rangeOf(row, "-"),
      row.cpuMicros.toFixed(2),
      row.limitCpuMicros.toFixed(2),
      row.bytesPerSample.toFixed(1),
      whole(row.rssMiB),
      daysAMinute(row).toFixed(1)
    ])
  ], 2)
}

const bench = Command.make("bench", {
  only: Flag.String("only").pipe(
    Flag.withDescription("Run only cases whose name contains this text, e.g. \"CSV, batch 64, 7 fields\" or Parquet"),
    Flag.withDefault("")
  ),
  rounds: Flag.Int("rounds").pipe(
    Flag.filter((value) => value > 0, (value) => `a whole number above 0, not ${value}`),
    Flag.withDescription("Rounds per case, after one warm-up round (default: 5)"),
    Flag.withDefault(5)
  ),
  scale: Flag.Finite("scale").pipe(
    Flag.filter((value) => value > 0, (value) => `a number above 0, not ${value}`),
    Flag.withDescription("Factor for the length of each round (default: 1, about a second)"),
    Flag.withDefault(1)
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("Print the figures as one JSON array"),
    Flag.withDefault(false)
  )
}, ({ json, only, rounds, scale }) =>
  Effect.gen(function*() {
    const chosen = SHAPES.flatMap((fields) => cases.map((case_) => ({ case_, fields, name: nameOf(case_, fields) })))
      .filter(({ name }) => name.includes(only))
    const rows: Array<Measured> = []
    for (const { case_, fields, name } of chosen) {
      if (chosen.length === 1) rows.push(yield* measure(case_, fields, rounds, scale))
      else {
        yield* Effect.sync(() => process.stderr.write(`${rows.length + 1} of ${chosen.length}: ${name}\n`))
        rows.push(yield* measureApart(name, rounds, scale))
      }
    }
    yield* Console.log(json ? yield* encodeRows(rows) : tableOf(rows))
  }).pipe(Effect.provide(warningsOnStderr))).pipe(
    Command.withDescription("Measure how many samples a second each sink takes, and how many this machine can write")
  )

Command.run(bench, { version: "0.1.0" }).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
