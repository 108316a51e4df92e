/**
 * A text file of whole records: opened once, and written to for hours.
 *
 * A file that loses its name in between, because it is moved, removed or replaced, is left. The next batch opens the name anew: a
 * free name gets a new file, an empty file or one of ours is written to, and anything else is refused.
 *
 * A file whose disk fails or is away is left too. It is opened again by its name, and no other file is made there meanwhile.
 *
 * A file that is removed, or that cannot be forced to disk or closed, may have lost samples. The report then has an error, and the
 * run fails: at the next batch if the disk has failed, else when the sink closes.
 *
 * A run without samples leaves an empty file. A run that never began leaves no new file, and leaves an old one unchanged.
 */
import { formatTimestamp, messageOf, type RunEvent, SampleClock, SinkOpenError, SinkWriteError } from "@sampleline/core"
import { Effect, Exit, Result, type Scope } from "effect"
import * as fs from "node:fs"
import type { ByteOutput, TextPlace } from "./ByteOutput.ts"
import { EventsFile, eventsFileOf } from "./EventsFile.ts"
import { fileOpenError, fileWriteError, withSamples, type Writer } from "./FileFailure.ts"
import { GrowingFile } from "./GrowingFile.ts"
import { LOOK_INTERVAL, type NameLost } from "./NameWatch.ts"
import { checkLength, checkParents, Disk, type FileMode, isAt, isBrokenLink, makeParents } from "./OutputFile.ts"
import { checkLock, lockOutput } from "./OutputLock.ts"
import { openPipe } from "./Pipe.ts"
import { CHANGED, Rewriting, tailOfMoved } from "./Rewriting.ts"
import { canFollow, type Content, lastTimeIn, type TextFormat } from "./TextContent.ts"

export interface TextFileOptions {
  readonly path: string
  /** Default: `create`, which fails if the file exists. */
  readonly mode?: FileMode | undefined
  /**
   * When the file is forced to disk, so that it survives a power cut. `never` leaves it to the operating system, `interval`
   * does it once a second, `always` does it before a batch is accepted. Default: `never`.
   */
  readonly fsync?: "never" | "interval" | "always" | undefined
}

export interface TextFile<C extends Content> extends ByteOutput {
  /** What the file holds already if it is appended to; null for a new or replaced file. */
  readonly content: C | null
}

interface State {
  /** The file that has the name; null if it has lost it, or its disk is away. */
  file: GrowingFile | null
  disk: Disk
  /** Whether the run has begun. */
  hasBegun: boolean
  /** Samples that may be lost, and why. */
  lost: SinkWriteError | undefined
  /** Whether the disk has failed. */
  isBroken: boolean
}

/** Opens the file; the scope closes it. */
export const openTextFile = Effect.fnUntraced(function*<C extends Content>(
  writer: Writer,
  options: TextFileOptions,
  format: TextFormat<C>
): Effect.fn.Return<TextFile<C>, SinkOpenError, Scope.Scope> {
  const { fsync = "never", mode = "create", path } = options
  const attempt = <A>(run: () => A) => Effect.try({ try: run, catch: (cause) => fileOpenError(writer, cause) })

  const stats = yield* attempt(() => fs.statSync(path, { throwIfNoEntry: false }))
  if (stats?.isDirectory()) return yield* fileOpenError(writer, { code: "EISDIR" })
  if (stats !== undefined && !stats.isFile()) return { content: null, ...(yield* openPipe(writer, path)) }
  yield* attempt(() => {
    makeParents(path)
    checkLength(eventsFileOf(path))
  })
  yield* lockOutput(writer, path)
  const state: State = { file: null, disk: new Disk(path), hasBegun: false, lost: undefined, isBroken: false }
  const failed = (samples: number) => (cause: unknown) => {
    const error = fileWriteError(writer, samples, cause)
    if (error.reason === "ConnectionLost") letGo(state)
    return error
  }
  const file = yield* Effect.acquireRelease(
    attempt(() => state.file = new GrowingFile(path, fs.openSync(path, openFlags[mode], 0o666), stats?.size ?? 0)),
    (_, exit) => closing(writer, { path, isNew: stats === undefined }, state, exit)
  )
  const content = mode === "append" && stats !== undefined
    ? yield* inspectFor(writer, file.fd, stats.size, format.inspect)
    : null
  if (content !== null && content.bytes < stats!.size) {
    yield* Effect.logWarning(
      `${writer.sink} ${writer.target}: its last ${
        stats!.size - content.bytes
      } bytes are an incomplete record and will be removed`
    )
  }
  file.end = content?.bytes ?? 0
  const lastRowAt = content === null ? null : lastTimeIn(file.fd, content.bytes)
  const events = new EventsFile(writer, mode, lastRowAt)
  if (mode === "overwrite") file.size = null

  let placed: GrowingFile | null = null
  const sync = (file: GrowingFile) => {
    // A journal forces the file to disk itself, but not one that has lost its name.
    const isDue = placed === null ? fsync === "interval" : file !== state.file
    return isDue ? syncOrLose(writer, state, file) : Effect.void
  }
  const lookAndSync = Effect.suspend(() => {
    const { file } = state
    if (file === null) return Effect.void
    return Effect.flatMap(
      file.watch.look,
      (lost) => lost === null ? sync(file) : leave(writer, state, file, lost, sync)
    )
  })
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(LOOK_INTERVAL), lookAndSync)))
  yield* Effect.addFinalizer(() => lookAndSync)

  /** What the file that was moved away holds behind the last place that is known. */
  let moved = new Rewriting(Buffer.alloc(0))
  const placeOf = (file: GrowingFile): TextPlace => ({ rows: file.place, events: events.place })
  const resumable: TextFile<C>["resumable"] = {
    place: (next) =>
      Effect.try({
        try: () => {
          const file = state.file ??= openAnew(state, path, format)
          const isNew = placed !== file || (next === "event" && events.beginAnewIfGone())
          placed = file
          return { place: placeOf(file), isNew }
        },
        catch: failed(0)
      }),
    isMoved: () => moved.hasMore,
    event: (event: RunEvent) => Effect.mapError(events.writeOrFail(event), ({ cause }) => failed(0)(cause)),
    open: Effect.fnUntraced(function*(from: TextPlace | null) {
      if (from === null) {
        yield* Effect.mapError(
          events.beginAt(formatTimestamp((yield* SampleClock.current).epochMicros())),
          ({ cause }) => failed(0)(cause)
        )
      }
      return yield* Effect.try({
        try: () => {
          const isFirst = placed === null
          const file = placed = state.file ??= openAnew(state, path, null)
          moved = new Rewriting(Buffer.alloc(0))
          // What is not kept goes before the place is: after a crash it would look like someone's change.
          if (from === null) file.truncate(file.end)
          else if (file.size === 0 && from.rows.bytes > 0) moved = new Rewriting(tailOfMoved(path, from.rows))
          else file.goBackTo(from.rows, isFirst ? content?.bytes : undefined)
          if (from !== null && from.events !== null) events.goBackTo(from.events)
          return placeOf(file)
        },
        catch: failed(0)
      })
    }),
    sync: Effect.suspend(() =>
      Effect.mapError(Effect.andThen(state.file?.sync ?? Effect.void, events.sync), failed(0))
    ),
    finish: Effect.suspend(() => {
      const { file } = state
      if (file === null || file.more === 0) return Effect.void
      if (!isLater(file)) return Effect.fail(failed(0)(new Error(CHANGED)))
      const { more } = file
      file.keepMore()
      return Effect.logWarning(
        `${writer.sink} ${writer.target}: its last ${more} bytes are rows that the journal has lost in a power cut; they stay`
      )
    })
  }

  return {
    content,
    resumable,
    began: () => {
      state.hasBegun = true
    },
    event: (event) => events.write(event),
    lost: () => state.lost,
    write: (encode, samples) => {
      if (state.isBroken && state.lost !== undefined) return Effect.fail(withSamples(state.lost, samples))
      const refuse = failed(samples)
      const written = Effect.try({
        try: () => {
          const file = state.file ??= openAnew(state, path, format)
          const start = file.end
          if (moved.hasMore && moved.passWhole(encode(false))) return { file, start, first: null }
          return { file, start, first: file.write(encode(start === 0), samples) }
        },
        catch: refuse
      })
      if (fsync !== "always") return Effect.map(written, ({ first }) => first)
      return Effect.flatMap(written, ({ file, first, start }) =>
        file.sync.pipe(
          Effect.tapError(() => Effect.ignore(Effect.try(() => file.truncate(start)))),
          Effect.mapBoth({ onFailure: refuse, onSuccess: () => first })
        ))
    }
  }
})

/** Fails as opening would, and changes nothing. Gives the content of a file that would be appended to, else null. */
export const checkTextFile = Effect.fnUntraced(function*<C extends Content>(
  writer: Writer,
  options: TextFileOptions,
  inspect: TextFormat<C>["inspect"]
): Effect.fn.Return<C | null, SinkOpenError> {
  const { mode = "create" } = options
  const attempt = <A>(run: () => A) => Effect.try({ try: run, catch: (cause) => fileOpenError(writer, cause) })

  const stats = yield* attempt(() => fs.statSync(options.path, { throwIfNoEntry: false }))
  yield* attempt(() => checkLength(eventsFileOf(options.path)))
  if (stats === undefined) {
    yield* attempt(() => checkParents(options.path))
    if (mode === "create" && isBrokenLink(options.path)) return yield* fileOpenError(writer, { code: "EEXIST" })
    return null
  }
  if (stats.isDirectory()) return yield* fileOpenError(writer, { code: "EISDIR" })
  if (!stats.isFile()) return null
  if (mode === "create") return yield* fileOpenError(writer, { code: "EEXIST" })
  yield* attempt(() => fs.accessSync(options.path, fs.constants.W_OK | fs.constants.R_OK))
  yield* checkLock(writer, options.path)
  if (mode === "overwrite") return null
  return yield* Effect.acquireUseRelease(
    attempt(() => fs.openSync(options.path, "r")),
    (fd) => inspectFor(writer, fd, stats.size, inspect),
    (fd) => Effect.sync(() => fs.closeSync(fd))
  )
})

const openFlags: { readonly [mode in FileMode]: number } = {
  create: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
  overwrite: fs.constants.O_RDWR | fs.constants.O_CREAT,
  append: fs.constants.O_RDWR | fs.constants.O_CREAT
}

const inspectFor = <C extends Content>(
  writer: Writer,
  fd: number,
  size: number,
  inspect: TextFormat<C>["inspect"]
) =>
  Effect.try({ try: () => inspect(fd, size), catch: messageOf }).pipe(
    Effect.flatMap((content) =>
      Result.isSuccess(content) ? Effect.succeed(content.success) : Effect.fail(content.failure)
    ),
    Effect.mapError((found) =>
      new SinkOpenError({
        ...writer,
        reason: "Foreign",
        detail: `${found}. The file was not changed. Repair it, or record to another file`
      })
    )
  )

/**
 * Opens the name after the file has lost it, or its disk was away. Throws if something stands there that the run's rows cannot follow.
 * Without a format the caller checks that.
 */
const openAnew = <C extends Content>(state: State, path: string, format: TextFormat<C> | null): GrowingFile => {
  const stats = fs.statSync(path, { throwIfNoEntry: false })
  if (stats === undefined) {
    state.disk.expect()
    makeParents(path)
    return new GrowingFile(path, fs.openSync(path, openFlags.create, 0o666), 0)
  }
  const replaced = new Error("something else was put in its place, which was not changed; record to another file")
  if (!stats.isFile()) throw replaced
  const fd = fs.openSync(path, fs.constants.O_RDWR)
  const { size } = fs.fstatSync(fd)
  if (size === 0 || format === null || canFollow(fd, size, format)) {
    // A disk that is back may have another number.
    state.disk = new Disk(path)
    return new GrowingFile(path, fd, size)
  }
  fs.closeSync(fd)
  throw replaced
}

/**
 * Whether what a file holds behind what was written is later. A power cut can leave more in an output than in its journal: both are
 * forced to disk once a second.
 */
const isLater = ({ end, fd, more }: GrowingFile): boolean =>
  (lastTimeIn(fd, end + more) ?? "") > (lastTimeIn(fd, end) ?? "")

/** Leaves a file whose disk fails. */
const letGo = (state: State): void => {
  const { file } = state
  state.file = null
  try {
    if (file !== null) fs.closeSync(file.fd)
  } catch {
    // It is closed all the same. What it may have lost is written again, or was refused.
  }
}

/** Leaves a file that has lost its name. Its last samples are where it is now, or are lost with it. */
const leave = (
  writer: Writer,
  state: State,
  file: GrowingFile,
  { movedTo }: NameLost,
  sync: (file: GrowingFile) => Effect.Effect<void>
): Effect.Effect<void> =>
  Effect.uninterruptible(Effect.suspend(() => {
    state.file = null
    const samples = file.watch.unseen
    const closed = closeFile(writer, state, file, () => fs.closeSync(file.fd))
    if (movedTo === null && samples > 0) {
      const detail =
        "it was removed while it was recorded, and its last samples with it; later samples go to a new file"
      return Effect.andThen(closed, lose(state, new SinkWriteError({ ...writer, samples, reason: "Unknown", detail })))
    }
    const found = movedTo === null ? "removed" : `moved to ${movedTo}, with its last ${samples} samples`
    return sync(file).pipe(
      Effect.andThen(closed),
      Effect.andThen(Effect.logWarning(
        `${writer.sink} ${writer.target}: it was ${found}; later samples go to a file with the old name`
      ))
    )
  }))

const closing = (
  writer: Writer,
  { isNew, path }: { readonly path: string; readonly isNew: boolean },
  state: State,
  exit: Exit.Exit<unknown, unknown>
) =>
  Effect.suspend(() => {
    const { file, hasBegun } = state
    if (file === null) return Effect.void
    return closeFile(writer, state, file, () => {
      if (file.size === null && hasBegun && Exit.isSuccess(exit)) file.truncate(0)
      const isLeftover = isNew && !hasBegun && fs.fstatSync(file.fd).size === 0 && isAt(path, file.fd)
      fs.closeSync(file.fd)
      if (isLeftover) fs.unlinkSync(path)
    })
  }).pipe(
    Effect.andThen(Effect.logInfo(`${writer.sink} closed ${writer.target}`)),
    Effect.andThen(Effect.suspend(() => state.lost === undefined ? Effect.void : Effect.die(state.lost)))
  )

const closeFile = (writer: Writer, state: State, file: GrowingFile, close: () => void): Effect.Effect<void> =>
  Effect.catch(
    Effect.try(close),
    ({ cause }) => distrust(writer, state, file.unsynced, "it could not be closed", cause)
  )

// If it were interrupted its failure would be missed.
const syncOrLose = (writer: Writer, state: State, file: GrowingFile): Effect.Effect<void> =>
  Effect.uninterruptible(Effect.suspend(() => {
    const samples = file.unsynced
    if (samples === 0) return Effect.void
    return Effect.catch(file.sync, (cause) => {
      file.unsynced -= samples
      return distrust(writer, state, samples, "it could not be forced to disk", cause)
    })
  }))

/** Notes that the disk has failed: nothing more is written to it. */
const distrust = (
  writer: Writer,
  state: State,
  samples: number,
  problem: string,
  cause: unknown
): Effect.Effect<void> =>
  Effect.suspend(() => {
    state.isBroken = true
    const { reason: found } = fileWriteError(writer, samples, cause)
    const reason = found === "ConnectionLost" ? "Unknown" : found
    const detail = `${problem}: ${messageOf(cause)}. Check the disk; these samples may be missing`
    return lose(state, new SinkWriteError({ ...writer, samples, reason, detail, cause }))
  })

/** Notes that samples may be lost, and says so at once: the next batch may be far away. */
const lose = (state: State, error: SinkWriteError): Effect.Effect<void> =>
  Effect.suspend(() => {
    const samples = error.samples + (state.lost?.samples ?? 0)
    state.lost = withSamples(error, samples)
    return Effect.logError(error.message)
  })
