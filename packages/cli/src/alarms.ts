/**
 * The alarms of a recording: `--alarm EXPRESSION` and `--on-alarm COMMAND`.
 *
 * This file is loaded only for commands with alarms.
 */
import type { Device, Tick } from "@sampleline/core"
import { AlarmCommand, type AlarmExpression, Alarms } from "@sampleline/view"
import * as Array from "effect/Array"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as path from "node:path"
import { UsageError } from "./errors.ts"
import type { RunJournal } from "./journal.ts"
import { withoutSecrets } from "./secrets.ts"
import { hasJournal, outputOptions, type Settings } from "./settings.ts"
import { existingFolder, isOnDisk, parseTargets } from "./targets.ts"

/**
 * Fails if an alarm cannot be understood, or does not fit the outputs or the devices, where these are given, and if there is no such
 * command.
 */
export const check = Effect.fnUntraced(function*(
  settings: Settings,
  devices?: ReadonlyArray<Pick<Device, "name" | "format">>
): Effect.fn.Return<void, UsageError> {
  const { alarms, out } = settings
  const twice = alarms.find((text, at) => alarms.indexOf(text) < at)
  if (twice !== undefined) {
    return yield* new UsageError({ message: `alarm ${withoutSecrets(twice)} is given twice; give each alarm once` })
  }
  const expressions = yield* Effect.mapError(
    Alarms.check({ alarms, devices, outputs: yield* namesOf(settings) }),
    (error) => refused(error)
  )
  for (const { condition, text } of expressions) {
    const refuse = (problem: string) => new UsageError({ message: `alarm ${withoutSecrets(text)}: ${problem}` })
    if (condition._tag === "Behind" && !hasJournal(settings)) {
      return yield* refuse("without a journal no output is behind; leave out --no-journal, or this alarm")
    }
    if (condition._tag === "Disk" && !hasJournal(settings) && !out.some(isOnDisk)) {
      return yield* refuse("no output is on a disk; leave out this alarm")
    }
  }
  const command = yield* commandOf(settings)
  if (command === null) return
  if (alarms.length === 0) {
    return yield* new UsageError({ message: "--on-alarm needs an alarm, such as --alarm '* is silent for 10s'" })
  }
  yield* Effect.mapError(
    AlarmCommand.check(command),
    ({ message }) => new UsageError({ message: `--on-alarm: ${message}` })
  )
})

/** The alarms of one recording. */
export interface RunAlarms {
  /** The same ticks, watched. */
  readonly watch: <E, R>(
    ticks: Stream.Stream<Tick, E, R>
  ) => Stream.Stream<Tick, E | AlarmExpression.AlarmExpressionError, R>
  readonly raised: Alarms.RaisedAlarms
}

/** The scope ends the command. */
export const prepare = Effect.fnUntraced(function*(
  settings: Settings,
  devices: ReadonlyArray<Device>,
  journal: RunJournal | null
): Effect.fn.Return<RunAlarms, UsageError, Scope.Scope> {
  const command = yield* commandOf(settings)
  const names = yield* namesOf(settings)
  const folders = foldersOf(journal === null ? settings.out : [...settings.out, journal.path])
  const tellCommand = command === null ? null : yield* AlarmCommand.make({ command })
  const raised = new Alarms.RaisedAlarms()
  const watch = Alarms.run({
    alarms: settings.alarms,
    devices,
    disks: Effect.map(Effect.forEach(folders, roomIn), Array.flatten),
    outputs: Effect.sync(() =>
      (journal?.status.outputs ?? []).map(({ behind, target, written }, at) => ({
        name: names[at] ?? target,
        written,
        behind
      }))
    ),
    onChange: (change) =>
      Effect.suspend(() => {
        raised.take(change)
        return tellCommand?.(change) ?? Effect.void
      })
  })
  return { watch, raised }
})

const refused = (error: AlarmExpression.AlarmExpressionError): UsageError => {
  const { place, problem, text } = error
  const shown = withoutSecrets(text)
  const message = `alarm ${JSON.stringify(shown)}: ${withoutSecrets(problem)}`
  // Without a password the caret would stand in another place.
  return shown === text ? new UsageError({ message, below: place }) : new UsageError({ message })
}

/** How alarms call the outputs: `run.csv`, `postgres`, `stdout`. Of two in different folders they must give the path. */
const namesOf = (settings: Settings): Effect.Effect<ReadonlyArray<string>> =>
  parseTargets(settings.out, outputOptions(settings)).pipe(
    Effect.map((targets) => {
      const names = targets.map(({ label, text }) => label(text))
      return names.map((name, at) => names.filter((other) => other === name).length > 1 ? targets[at]!.text : name)
    }),
    // They are checked elsewhere.
    Effect.orElseSucceed(() => [])
  )

/** Null if there is none. A list of words, as a settings file has it, needs no quotes. */
const commandOf = ({ "on-alarm": command }: Settings) => {
  if (typeof command !== "string") {
    return Effect.succeed(command !== undefined && Array.isReadonlyArrayNonEmpty(command) ? command : null)
  }
  return Effect.mapError(
    Effect.fromResult(AlarmCommand.parse(command)),
    ({ message }) => new UsageError({ message: `--on-alarm: ${message}` })
  )
}

/** One folder on each disk that is written to. */
const foldersOf = (files: ReadonlyArray<string>): ReadonlyArray<string> =>
  Array.dedupeWith(
    files.filter(isOnDisk).map((file) => existingFolder(path.dirname(path.resolve(file)))),
    (a, b) => fs.statSync(a).dev === fs.statSync(b).dev
  )

/** None where nobody can tell: that neither raises nor clears an alarm. */
const roomIn = (folder: string): Effect.Effect<ReadonlyArray<Alarms.DiskRoom>> =>
  Effect.tryPromise(() => fs.promises.statfs(folder)).pipe(
    Effect.map(({ bavail, bsize }) => [{ name: folder, freeBytes: bavail * bsize }]),
    Effect.orElseSucceed(() => [])
  )
