/**
 * How well ticks keep to their grid: their drift, early starts, skipped slots, and the processor time.
 *
 *     npm run bench:cadence -- --seconds 20 --json
 *
 * First: ten simulated devices on TCP, in their own process, at 100 Hz: with a plain `clock.sleep` for comparison, by default, and
 * precise. Then: a source in this process at 1000 Hz.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { inProcess, type Measured, tenDevices } from "./measureCadence.ts"
import { textTable } from "./textTable.ts"
import { warningsOnStderr } from "./warningsOnStderr.ts"

const tableOf = (rows: ReadonlyArray<Measured>): string => {
  const ms = (value: number) => value.toFixed(3)
  return textTable([
    ["run", "ticks", "skipped", "early", "failures", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "CPU %", "stolen ms"],
    ...rows.map((row) => [
      row.run,
      ...[row.ticks, row.skipped, row.early, row.failures].map(String),
      ...[row.p50Ms, row.p99Ms, row.p999Ms, row.maxMs].map(ms),
      row.cpuPercent.toFixed(1),
      String(row.stolenMs ?? "")
    ])
  ], 1)
}

const cadence = Command.make("bench:cadence", {
  seconds: Flag.Int("seconds").pipe(
    Flag.filter((value) => value > 0, (value) => `a whole number above 0, not ${value}`),
    Flag.withDescription("Seconds per run; the run at 1000 Hz takes half of it (default: 20)"),
    Flag.withDefault(20)
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("Print the figures as one JSON array"),
    Flag.withDefault(false)
  )
}, ({ json, seconds }) =>
  Effect.gen(function*() {
    const rows = [...yield* tenDevices(seconds), yield* inProcess(seconds / 2)]
    yield* Console.log(json ? JSON.stringify(rows) : tableOf(rows))
  }).pipe(Effect.provide(warningsOnStderr))).pipe(
    Command.withDescription("Measure how well ticks keep to their grid on this machine")
  )

Command.run(cadence, { version: "0.1.0" }).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
