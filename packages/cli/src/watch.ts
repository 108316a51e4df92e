/**
 * `sampleline watch`: shows devices and records nothing. On a terminal it is the table of `sampleline record`, without outputs.
 * Elsewhere, and while the terminal is too small, it is a line for each device on stdout, now and then.
 */
import { Recorder, SampleClock } from "@sampleline/core"
import { deviceText, LiveTable } from "@sampleline/view"
import { Command, Flag } from "effect/cli"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { openKeyboard } from "./keyboard.ts"
import { clearingTerminal, reportProgress } from "./progress.ts"
import { openSource, receivedSignal, tableOf, ticks } from "./record.ts"
import { type RecordFlags, recordFlags } from "./recordFlags.ts"
import { type Settings, withSettings } from "./settings.ts"
import * as Signals from "./signals.ts"
import { count, formatSeconds } from "./summary.ts"
import { canShowTable, latestLog, print, tableSize, timeText } from "./terminal.ts"

const { "allow-missing": allowMissing, config, device, duration, rate, simulate, stream } = recordFlags

const watchFlags = {
  config: Flag.withDescription(config, "YAML or JSON file with the settings of a recording; flags override it"),
  device: Flag.withDescription(device, "Device to watch, under a name of your choice; repeat for more devices"),
  simulate: Flag.withDescription(simulate, "Watch N simulated devices instead of real ones"),
  rate: Flag.withDescription(rate, "Ticks per second, such as 5 or 0.5 (default: 2). With --stream: as in record"),
  duration: Flag.withDescription(duration, "How long to watch, such as 60s or 1h (default: until q or Ctrl-C)"),
  stream,
  "allow-missing": Flag.withDescription(allowMissing, "Start without missing devices; each is shown once it appears"),
  plain: Flag.withDescription(
    recordFlags.plain,
    "Print lines, as where there is no terminal, instead of the live table"
  )
}

export const watchCommand = Command.make(
  "watch",
  watchFlags,
  (flags) => withSettings({ ...UNSET, ...flags, out: NOWHERE }, watch)
).pipe(
  Command.withShortDescription("Show devices without recording"),
  Command.withDescription(
    "Show devices without recording, until q or Ctrl-C. On a terminal of at least 80 columns and 12 rows it is a table; its last "
      + "line says what the keys do. Elsewhere, or with --plain, it is a line on stdout for each device, at once and every ten seconds."
  ),
  Command.withExamples([
    { command: "sampleline watch --simulate 2", description: "Two simulated devices" },
    { command: "sampleline watch --device fuel=/dev/ttyUSB0 --rate 5", description: "One device, five times a second" },
    { command: "sampleline watch --config bench.yaml", description: "The devices of a settings file" },
    {
      command: "sampleline watch --config bench.yaml --plain --duration 2s",
      description: "What they read now, as lines of text"
    }
  ])
)

/** What is not asked of a recording here. */
const UNSET = {
  ...Object.fromEntries(Object.keys(recordFlags).map((name) => [name, Option.none()])),
  meta: []
} as unknown as RecordFlags
/** Settings name an output. Nothing is written to it. */
const NOWHERE = ["-"]

const DEFAULT_RATE = 2
const LINE_INTERVAL = "10 seconds"

const watch = Effect.fnUntraced(function*(settings: Settings) {
  const { first: signal } = yield* Signals.listen
  const source = yield* Effect.raceFirst(openSource(settings), Effect.flatMap(signal, Signals.end))
  const table = yield* tableOf(settings)
  const rate = settings.rate ?? (settings.stream ? undefined : DEFAULT_RATE)
  yield* ticks({ ...settings, rate }).pipe(
    LiveTable.observe(table),
    Stream.runDrain,
    Effect.raceFirst(settings.plain || !canShowTable() ? printLines(table, () => true) : showTable(table)),
    Effect.provideContext(source),
    Recorder.endWhen(signal),
    clearingTerminal
  )
  const name = yield* receivedSignal(signal)
  if (name !== null && name !== "SIGINT") return yield* Signals.end(name)
}, Effect.scoped)

const showTable = Effect.fnUntraced(function*(
  table: LiveTable.LiveTable
): Effect.fn.Return<never, never, Scope.Scope> {
  const keyboard = yield* openKeyboard
  const clock = yield* SampleClock.current
  const parts = () => {
    const { elapsedSeconds, failures, lateTicks, samples } = table.snapshot
    return [
      formatSeconds(elapsedSeconds),
      `${count(samples)} samples`,
      `${count(lateTicks)} late ticks`,
      `${count(failures)} failures`
    ]
  }
  const startedAt = clock.epochMicros()
  const report = reportProgress({
    parts,
    secondsAt: (at) => (at - startedAt) / 1_000_000,
    table: () => ({ ...table.snapshot, log: latestLog() }),
    keyboard,
    marks: false,
    page: null
  })
  return yield* Effect.raceFirst(report, printLines(table, () => tableSize() === null))
}, Effect.scoped)

/** Prints forever, where lines are wanted. It waits for the first tick; if that is the last one, it prints at the end. */
const printLines = Effect.fnUntraced(function*(
  table: LiveTable.LiveTable,
  isWanted: () => boolean
): Effect.fn.Return<never> {
  const printNow = Effect.map(DateTime.nowAsDate, (now) => {
    if (!isWanted()) return
    for (const device of table.snapshot.devices) print(`${timeText(now)} ${deviceText(device)}`)
  })
  yield* Effect.repeat(Effect.sleep("20 millis"), { until: () => table.snapshot.devices.length > 0 }).pipe(
    Effect.onInterrupt(() => printNow)
  )
  return yield* Effect.forever(Effect.andThen(printNow, Effect.sleep(LINE_INTERVAL)))
})
