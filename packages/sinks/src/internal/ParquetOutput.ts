/**
 * What a Parquet sink writes to: samples wait until the columns are fixed, go into row groups, and end in a file with a footer and
 * a name.
 *
 * Without a journal the file is completed when the scope closes. With one it is completed by `finish`, and until then left as it is
 * for another process. A file of another process is opened only where it is needed: a name is found then.
 */
import {
  type EventRow,
  eventToRow,
  formatTimestamp,
  messageOf,
  type RowOptions,
  type RunEvent,
  Sample,
  SampleClock,
  SchemaLock,
  type SinkOpenError,
  type SinkPlace,
  SinkWriteError
} from "@sampleline/core"
import { syncFolder } from "@sampleline/sqlite"
import { Effect, Exit, Scope } from "effect"
import * as fs from "node:fs"
import { dirname } from "node:path"
import { describeDevices, runJson, unitsByColumn } from "./Description.ts"
import { fileOpenError, fileWriteError } from "./FileFailure.ts"
import { idOf, NameWatch, onNameLost } from "./NameWatch.ts"
import type { FileMode } from "./OutputFile.ts"
import { type ParquetEncoder, startEncoder } from "./ParquetEncoder.ts"
import type { ParquetSettings } from "./ParquetFile.ts"
import type { FinishedGroup, GroupsHeader } from "./ParquetGroups.ts"
import { type Batch, ParquetRecording } from "./ParquetRecording.ts"
import {
  type BegunFile,
  begunFiles,
  claimName,
  closePartial,
  discard,
  forgetGroups,
  isCompleteAs,
  makeNextPartial,
  makePartial,
  type PartialFile,
  partialOf,
  publish,
  removeEmpty,
  reopenPartial
} from "./PartialFile.ts"
import { endsOfKilled, OUTAGE_EVENTS } from "./RunTables.ts"

export const SINK = "ParquetSink"

export const writerOf = (path: string) => ({ sink: SINK, target: path })

export interface Settings extends Pick<ParquetSettings, "compression" | "dictionary"> {
  readonly path: string
  readonly mode: FileMode
  readonly rowGroupSize: number
}

/** How many samples wait at most for values that show the types of all columns. */
const MOST_WAITING = 10_000

/** The place of a run that had no sample, and so has no file. */
const NO_FILE = "no file"

const NOT_KNOWN =
  "there is no file with what this journal has written: it is complete already, or its .partial was moved or "
  + "removed; nothing was changed"

const nothing = () => ({ samples: new Array<Sample>(), events: new Array<EventRow>(), through: 0 })

export class ParquetOutput {
  private readonly settings: Settings
  private readonly options: RowOptions
  private readonly encoder: ParquetEncoder
  private readonly scope: Scope.Scope
  /** The id of the journal that writes to it; null if there is none. */
  private journal: string | null = null
  /** What came before the columns were fixed. */
  private waiting = nothing()
  /** The unfinished file, while it is open. */
  private file: PartialFile | null = null
  private recording: ParquetRecording | undefined
  private watching: Scope.Closeable | undefined
  /** Whether its disk has failed, so that row groups which were not forced to it may be gone. */
  private isDiskLost = false
  /** Whether the unfinished file was removed. */
  private isRemoved = false
  /** Where the unfinished file was moved to. */
  private movedTo: string | null = null
  /** What was accepted and could not be written at the end. */
  lost: SinkWriteError | undefined
  /** What the journal may count on. */
  private place: SinkPlace = { through: 0, token: "" }
  /** The name of the file that has the samples, once there is one. */
  path: string
  /** The name of the file that the journal has finished. */
  private finishedPath: string | null = null

  constructor(settings: Settings, options: RowOptions, encoder: ParquetEncoder, scope: Scope.Scope) {
    this.settings = settings
    this.options = options
    this.encoder = encoder
    this.scope = scope
    this.path = settings.path
  }

  /** The columns, once they are fixed. */
  get lock(): SchemaLock | undefined {
    return this.recording?.lock
  }

  /** Takes all of a batch, or none of it. */
  write(batch: Batch): Effect.Effect<void, SinkWriteError> {
    return Effect.suspend(() => {
      const { recording, waiting } = this
      const { events, samples, through } = batch
      if (this.isRemoved) return Effect.fail(this.removedError(samples.length))
      if (recording !== undefined) return this.record(recording, batch)
      const isTyped = samples.length > 0 && waiting.samples.length === 0
        && SchemaLock.fromBatch(samples, this.options).isTyped
      for (const sample of samples) waiting.samples.push(sample)
      for (const event of events) waiting.events.push(event)
      waiting.through = through
      const isFull = waiting.samples.length >= Math.min(this.settings.rowGroupSize, MOST_WAITING)
      // What the columns cannot hold is counted before the summary.
      const isLast = events.some(({ event }) => event === "RunEnded")
      return isTyped || isFull || isLast ? this.writeWaiting : Effect.void
    })
  }

  /** Fixes the columns. */
  private readonly writeWaiting: Effect.Effect<void, SinkWriteError> = Effect.suspend(() => {
    const { waiting } = this
    if (waiting.samples.length === 0) return Effect.void
    return Effect.flatMap(this.opened, (file) => {
      this.waiting = nothing()
      this.recording = this.startRecording(file, waiting.samples)
      return this.record(this.recording, waiting)
    })
  })

  private record(recording: ParquetRecording, batch: Batch): Effect.Effect<void, SinkWriteError> {
    return Effect.mapError(
      recording.write(batch),
      this.failed(batch.samples.length, "the finished row groups are complete, and later samples wait for room")
    )
  }

  /** The unfinished file. It is made if there is none. */
  private readonly opened: Effect.Effect<PartialFile, SinkWriteError> = Effect.suspend(() => {
    const { file, settings: { path } } = this
    if (file !== null) return Effect.succeed(file)
    return this.attempt(() => makeNextPartial(path)).pipe(
      Effect.tap((file) => this.watch(file)),
      Effect.tap((file) =>
        file.path === path
          ? Effect.void
          : fs.existsSync(partialOf(path))
          ? Effect.logWarning(
            `${SINK} ${path}: ${
              partialOf(path)
            } is unfinished and stays as it is, so this recording goes to ${file.path}. Finish it `
              + "from its journal (sampleline resume)"
          )
          : Effect.logInfo(`${SINK} ${path}: there is a recording of this name, so this one goes to ${file.path}`)
      )
    )
  })

  /** Writes to this file from now on. */
  watch(file: PartialFile): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { scope, settings: { path } } = this
      const partial = partialOf(file.path)
      this.file = file
      this.path = file.path
      this.watching = Scope.forkUnsafe(scope)
      return Scope.provide(
        onNameLost(new NameWatch(partial, idOf(file.fd)), ({ movedTo }) => {
          this.isRemoved = movedTo === null
          this.movedTo = movedTo
          return movedTo === null
            ? Effect.void
            : Effect.logWarning(`${SINK} ${path}: ${partial} was moved to ${movedTo}; the recording goes on there`)
        }),
        this.watching
      )
    })
  }

  private startRecording(file: PartialFile, samples: ReadonlyArray<Sample>): ParquetRecording {
    const { compression, dictionary, rowGroupSize } = this.settings
    const lock = SchemaLock.fromBatch(samples, this.options).typed()
    const described = describeDevices(samples, lock)
    const { devices, ...run } = runJson(samples, described)
    const metadata = { ...run, devices: JSON.stringify(devices) }
    const units = unitsByColumn(lock.columns, described)
    const settings = { columns: lock.saved, compression, dictionary, units, metadata }
    this.encoder.begin({
      ...file,
      header: { version: 1, journal: this.journal, replaces: file.replaces, settings },
      finished: []
    })
    return new ParquetRecording(lock, this.encoder, rowGroupSize, { rows: 0, through: 0 })
  }

  /** Finds the place where a journal goes on. */
  open(journal: string, last: SinkPlace | null): Effect.Effect<SinkPlace, SinkWriteError> {
    return Effect.gen({ self: this }, function*() {
      const { recording, settings: { path } } = this
      this.journal = journal
      this.waiting = nothing()
      if (this.finishedPath !== null) return this.place
      const isDiskLost = this.isDiskLost
      if (isDiskLost) yield* this.letGo
      else if (recording !== undefined) {
        yield* recording.dropUnfinished
        return this.placeAt(recording.finished.through)
      }
      if (last?.token === NO_FILE) return this.finishedAs(path, last)
      const expected = last?.through ?? 0
      const begun = this.file !== null ? undefined : (yield* this.attempt(() => begunFiles(path))).find(
        ({ groups }) => groups.header.journal === journal
      )
      if (begun !== undefined && fs.existsSync(partialOf(begun.path))) {
        return yield* this.goOnWith(begun, expected, isDiskLost)
      }
      const complete = begun?.groups.complete ?? null
      const isDone = complete !== null
        && (expected >= complete.through || (yield* this.attempt(() => isCompleteAs(begun!.path, begun!.groups))))
      if (isDone) {
        return this.finishedAs(begun!.path, { through: Math.max(expected, complete.through), token: "" })
      }
      return expected === 0 ? this.placeAt(0) : yield* this.failed(0)(new Error(NOT_KNOWN))
    })
  }

  /** Leaves a file whose disk has failed. It is opened again by its name. */
  private readonly letGo: Effect.Effect<void> = Effect.gen({ self: this }, function*() {
    const { file, recording } = this
    if (recording !== undefined) yield* recording.dropUnfinished
    yield* this.endWatch
    if (file !== null) yield* Effect.ignore(Effect.try(() => this.closeFile(file)))
    this.recording = undefined
    this.isDiskLost = false
  })

  /**
   * Goes on with a file that another process has left. `expected` is the position up to which it must hold everything; `isCut`: what
   * it holds behind that is written again.
   */
  private goOnWith(begun: BegunFile, expected: number, isCut: boolean): Effect.Effect<SinkPlace, SinkWriteError> {
    return Effect.gen({ self: this }, function*() {
      const { header } = begun.groups
      const lock = SchemaLock.fromSaved(header.settings.columns, this.options)
      const { file, finished } = yield* this.attempt(() => reopenPartial(begun, expected, isCut))
      const through = finished.at(-1)?.through ?? 0
      yield* this.watch(file)
      this.encoder.begin({ ...file, header, finished })
      this.recording = new ParquetRecording(lock, this.encoder, this.settings.rowGroupSize, {
        rows: rowsIn(finished),
        through
      })
      return this.placeAt(through)
    })
  }

  /** Writes items of the journal. The place is behind the last finished row group: those after it are sent again after a failure. */
  writeAt(items: ReadonlyArray<Sample | RunEvent>, through: number): Effect.Effect<SinkPlace, SinkWriteError> {
    return Effect.suspend(() => {
      const samples = items.filter((item) => item instanceof Sample)
      const events = items.flatMap((item) => item instanceof Sample ? [] : [eventToRow(item)])
      if (this.finishedPath !== null) return this.leaveOut(samples.length, events.length, through)
      return Effect.map(
        this.write({ samples, events, through }),
        () => this.placeAt(this.recording?.finished.through ?? 0)
      )
    })
  }

  /** A finished file is not opened again. Only events can come so late. */
  private leaveOut(samples: number, events: number, through: number): Effect.Effect<SinkPlace, SinkWriteError> {
    const { path } = this.settings
    if (samples > 0) return Effect.fail(this.failed(samples)(new Error("it is complete, and cannot be added to")))
    return Effect.as(
      Effect.logWarning(`${SINK} ${path}: it is complete, so ${events} later events are not in it`),
      this.finishedAs(this.finishedPath!, { ...this.place, through })
    )
  }

  private placeAt(through: number): SinkPlace {
    if (through !== this.place.through) this.place = { through, token: "" }
    return this.place
  }

  private finishedAs(path: string, place: SinkPlace): SinkPlace {
    this.path = path
    this.finishedPath = path
    return this.place = place
  }

  /** Forces what is written to disk. */
  readonly sync: Effect.Effect<void, SinkWriteError> = Effect.suspend(() => {
    const { file } = this
    if (file === null) return Effect.void
    // A record counts only if its row group is there.
    return Effect.mapError(Effect.andThen(toDisk(file.fd), toDisk(file.groups)), (cause) => {
      this.isDiskLost = true
      return this.failed(0)(cause)
    })
  })

  /** Completes the file. The journal has nothing more. */
  finish(through: number): Effect.Effect<SinkPlace, SinkWriteError> {
    return Effect.gen({ self: this }, function*() {
      if (this.finishedPath !== null) return this.place
      yield* this.writeWaiting
      const { file, recording } = this
      if (this.isRemoved) return yield* this.removedError(recording?.finished.rows ?? 0)
      if (recording !== undefined) yield* this.finishGroups(recording)
      if (file === null || recording === undefined || recording.finished.rows === 0) {
        if (file !== null) yield* this.attempt(() => this.discardFile(file))
        return this.finishedAs(this.settings.path, { through, token: NO_FILE })
      }
      yield* this.endWatch
      yield* this.completeFile(file, recording, through)
      yield* this.attempt(() => this.closeFile(file))
      return this.finishedAs(file.path, { through, token: "" })
    })
  }

  /** The journal is gone. */
  readonly forget: Effect.Effect<void, SinkWriteError> = Effect.suspend(() => {
    const { finishedPath } = this
    return finishedPath === null ? Effect.void : this.attempt(() => forgetGroups(finishedPath))
  })

  /** Completes the file if there is no journal, else leaves it as it is. */
  readonly close: Effect.Effect<void, SinkWriteError> = Effect.suspend(() =>
    this.journal === null ? this.completeAtEnd : this.leave
  ).pipe(Effect.ensuring(Effect.suspend(() => Effect.logInfo(`${SINK} closed ${this.path}`))))

  private readonly leave: Effect.Effect<void, SinkWriteError> = Effect.gen({ self: this }, function*() {
    yield* this.endWatch
    const { file, recording } = this
    if (recording !== undefined) yield* recording.dropUnfinished
    if (file === null) return
    const isEmpty = (recording?.finished.rows ?? 0) === 0
    yield* this.attempt(() => isEmpty ? this.discardFile(file) : this.closeFile(file))
  })

  private readonly completeAtEnd: Effect.Effect<void, SinkWriteError> = Effect.gen({ self: this }, function*() {
    const lose = (error: SinkWriteError) => Effect.sync(() => this.lost = error)
    yield* this.endWatch
    yield* Effect.catch(this.writeWaiting, lose)
    const { file, isRemoved, recording } = this
    if (file === null) return
    if (recording !== undefined && isRemoved) {
      yield* lose(this.removedError(recording.finished.rows + recording.unfinishedRows))
    } else if (recording !== undefined) {
      yield* Effect.catch(this.finishGroups(recording), lose)
      if (recording.finished.rows > 0) yield* Effect.catch(this.completeFile(file, recording, 0), lose)
    }
    const isEmpty = isRemoved || (recording?.finished.rows ?? 0) === 0
    const closed = Effect.try({
      try: () => isEmpty ? this.discardFile(file) : this.closeFile(file),
      catch: this.failed(this.lost?.samples ?? 0, "the file may be incomplete")
    })
    yield* Effect.catch(closed, (error) => this.lost === undefined ? lose(error) : Effect.void)
    if (this.lost !== undefined) return yield* this.lost
  })

  private readonly endWatch: Effect.Effect<void> = Effect.suspend(() =>
    this.watching === undefined ? Effect.void : Scope.close(this.watching, Exit.void)
  )

  private finishGroups(recording: ParquetRecording): Effect.Effect<void, SinkWriteError> {
    return Effect.mapError(recording.finishGroups, (cause) =>
      this.failed(
        recording.unfinishedRows,
        recording.finished.rows > 0
          ? "the finished row groups are complete, and later samples are lost"
          : "no row group was finished, so there is no file"
      )(cause))
  }

  /** Writes the footer, and gives the file its name. */
  private completeFile(
    file: PartialFile,
    recording: ParquetRecording,
    through: number
  ): Effect.Effect<void, SinkWriteError> {
    const partial = partialOf(file.path)
    const lostSamples = this.lost?.samples ?? 0
    const unnamed = (cause: unknown) =>
      new SinkWriteError({
        ...writerOf(this.path),
        samples: lostSamples,
        reason: "Unknown",
        detail: this.movedTo === null
          ? `${messageOf(cause)}; the recording is complete in ${partial}`
          : `${partial} was moved to ${this.movedTo} while it was recorded, and is complete there`,
        cause
      })
    const named = Effect.andThen(
      Effect.try({ try: () => publish(file), catch: unnamed }),
      syncFolder(dirname(file.path))
    )
    return Effect.andThen(
      Effect.mapError(
        recording.finish(through),
        this.failed(recording.finished.rows + lostSamples, `${partial} has no footer and cannot be read`)
      ),
      // Without a journal nobody comes back to a file that has its footer.
      this.journal === null ? Effect.ensuring(named, Effect.sync(() => forgetGroups(file.path))) : named
    )
  }

  private discardFile(file: PartialFile): void {
    discard(file)
    this.closeFile(file)
  }

  private closeFile(file: PartialFile): void {
    this.file = null
    closePartial(file)
  }

  private attempt<A>(run: () => A): Effect.Effect<A, SinkWriteError> {
    return Effect.try({ try: run, catch: this.failed(0) })
  }

  /** `onFullDisk` says what happens to the other samples. */
  private failed(samples: number, onFullDisk = "what was accepted before is complete") {
    return (cause: unknown): SinkWriteError => {
      const writer = writerOf(this.path)
      const { detail, reason } = fileWriteError(writer, samples, cause)
      this.isDiskLost ||= reason === "ConnectionLost"
      return new SinkWriteError({
        ...writer,
        samples,
        reason,
        detail: reason === "DiskFull" ? `the disk is full; ${onFullDisk}` : detail,
        cause
      })
    }
  }

  private removedError(samples: number): SinkWriteError {
    const { path } = this
    return new SinkWriteError({
      ...writerOf(path),
      samples,
      reason: "Unknown",
      detail: `${partialOf(path)} was removed while it was recorded, and its samples with it`
    })
  }
}

/** Opens an output; the scope closes it. */
export const openOutput = Effect.fnUntraced(function*(
  settings: Settings,
  options: RowOptions
): Effect.fn.Return<ParquetOutput, SinkOpenError, Scope.Scope> {
  const { mode, path } = settings
  const encoder = yield* Effect.mapError(startEncoder, openError(path))
  yield* claimName(writerOf(path), settings)
  if (mode === "append") yield* finishKilledRuns(path, encoder)
  const output = yield* Effect.acquireRelease(
    Effect.map(Effect.scope, (scope) => new ParquetOutput(settings, options, encoder, scope)),
    (output) => Effect.orDie(output.close)
  )
  if (mode !== "append") {
    yield* output.watch(
      yield* Effect.try({ try: () => makePartial(path, mode === "overwrite"), catch: openError(path) })
    )
  }
  return output
})

/** Completes what recordings without a journal have left because they were killed. */
const finishKilledRuns = Effect.fnUntraced(function*(path: string, encoder: ParquetEncoder) {
  for (const begun of yield* Effect.try({ try: () => begunFiles(path), catch: openError(path) })) {
    if (begun.groups.header.journal !== null) continue
    const partial = partialOf(begun.path)
    if (begun.groups.finished.length > 0 && fs.existsSync(partial)) {
      // What cannot be completed keeps its name, and so does not hold up the next recording.
      yield* Effect.catch(
        finishKilledRun(path, begun, encoder),
        ({ detail }) =>
          Effect.logWarning(`${SINK} ${path}: ${partial} was left by a killed run and stays as it is: ${detail}`)
      )
    } else {
      yield* Effect.try({ try: () => removeEmpty(begun.path), catch: openError(path) })
    }
  }
})

const finishKilledRun = Effect.fnUntraced(function*(path: string, begun: BegunFile, encoder: ParquetEncoder) {
  const attempt = <A>(run: () => A) => Effect.try({ try: run, catch: openError(path) })
  const { finished: known, header } = begun.groups
  const at = formatTimestamp((yield* SampleClock.current).epochMicros())
  const hasFooter = yield* attempt(() => isCompleteAs(partialOf(begun.path), begun.groups))
  const { file, finished } = yield* attempt(() => reopenPartial(begun, null))
  const complete = Effect.gen(function*() {
    if (!hasFooter) {
      encoder.begin({ ...file, header, finished })
      yield* Effect.mapError(encoder.finish({ events: endsOf(header, finished, at), through: 0 }), openError(path))
    }
    yield* attempt(() => publish(file))
    yield* syncFolder(dirname(begun.path))
    forgetGroups(begun.path)
  })
  yield* Effect.ensuring(complete, Effect.sync(() => closePartial(file)))
  const rows = rowsIn(finished)
  yield* Effect.logInfo(
    `${SINK} ${path}: the run of ${begun.path} was killed; its ${rows} finished rows are complete now`
  )
  const lost = rowsIn(known) - rows
  if (lost > 0) yield* Effect.logWarning(`${SINK} ${begun.path}: ${lost} rows had not reached the disk, and are lost`)
})

const openError = (path: string) => (cause: unknown) => fileOpenError(writerOf(path), cause)

const rowsIn = (finished: ReadonlyArray<FinishedGroup>): number =>
  finished.reduce((rows, { group }) => rows + Number(group.num_rows), 0)

/** The end of a run that has none. */
const endsOf = (
  { settings: { columns, metadata } }: GroupsHeader,
  finished: ReadonlyArray<FinishedGroup>,
  at: string
): ReadonlyArray<EventRow> => {
  const events = finished.flatMap(({ events }) => events)
  if (events.some(({ event }) => event === "RunEnded")) return []
  const received = columns.findIndex(({ source }) => source === "fixed received_at")
  const last = finished.at(-1)?.group.columns[received]?.meta_data?.statistics?.max_value
  return endsOfKilled({
    runId: metadata["run_id"] ?? "",
    startedAt: metadata["started_at"] ?? "",
    lastRowAt: typeof last === "bigint" ? formatTimestamp(Number(last)) : null,
    at,
    outages: events.filter(({ event }) => OUTAGE_EVENTS.includes(event))
  })
}

const toDisk = (fd: number): Effect.Effect<void, NodeJS.ErrnoException> =>
  Effect.callback((resume) => fs.fdatasync(fd, (error) => resume(error ? Effect.fail(error) : Effect.void)))
