/**
 * A text file of whole records, opened once and written to for hours.
 *
 * A batch is handed to the operating system by one `write` at a known offset, synchronously: for ordinary files that is
 * several times faster than a trip through the thread pool. A batch that does not fit is removed again, so the file always
 * ends with the last accepted batch. An existing file is not changed before the first batch.
 *
 * A file that cannot be forced to disk or closed may have lost samples. The report then has an error and the run fails: at the
 * next batch, or when the sink closes.
 *
 * A run without samples leaves an empty file. A run that never began leaves no new file, and leaves an old one unchanged.
 */
import { messageOf, SinkOpenError, SinkWriteError } from "@sampleline/core"
import { Effect, Exit, type Scope } from "effect"
import * as fs from "node:fs"
import type { ByteOutput } from "./ByteOutput.ts"
import { fileOpenError, fileWriteError, type Writer } from "./FileFailure.ts"
import { checkParents, type FileMode, isAt, isBrokenLink, makeParents } from "./OutputFile.ts"
import { checkLock, lockOutput } from "./OutputLock.ts"
import { openPipe } from "./Pipe.ts"

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

/** What the file holds up to the end of its last complete record. */
export interface Content {
  readonly bytes: number
  /** The columns with a number that has no decimal point. */
  readonly wholeNumbers: ReadonlySet<string>
}

/** Reads the content of an existing file before it is appended to. Fails with a text if the sink did not write the file. */
export type Inspect<C extends Content> = (fd: number, size: number) => Effect.Effect<C, string>

export interface TextFile<C extends Content> extends ByteOutput {
  /** Whether it is a regular file: there is no metadata file beside a pipe. */
  readonly isFile: boolean
  /** What the file holds already if it is appended to; null for a new or replaced file. */
  readonly content: C | null
}

const FSYNC_INTERVAL = "1 second"

/** How far an open file is. */
interface State {
  /** Where the last accepted batch ends; -1 before the first batch. */
  end: number
  /** Whether the run has begun. */
  hasBegun: boolean
  /** Samples that were accepted and not forced to disk since. */
  unsynced: number
  /** What may be lost because the file could not be forced to disk or closed. */
  lost: SinkWriteError | undefined
}

/** Opens the file; the scope closes it. */
export const openTextFile = Effect.fnUntraced(function*<C extends Content>(
  writer: Writer,
  options: TextFileOptions,
  inspect: Inspect<C>
): Effect.fn.Return<TextFile<C>, SinkOpenError, Scope.Scope> {
  const { mode = "create", fsync = "never" } = options
  const attempt = <A>(run: () => A) => Effect.try({ try: run, catch: (cause) => fileOpenError(writer, cause) })

  const stats = yield* attempt(() => fs.statSync(options.path, { throwIfNoEntry: false }))
  if (stats?.isDirectory()) return yield* fileOpenError(writer, { code: "EISDIR" })
  if (stats !== undefined && !stats.isFile()) {
    return { content: null, isFile: false, ...(yield* openPipe(writer, options.path)) }
  }
  yield* attempt(() => makeParents(options.path))
  yield* lockOutput(writer, options.path)
  const state: State = { end: -1, hasBegun: false, unsynced: 0, lost: undefined }
  const fd = yield* Effect.acquireRelease(
    attempt(() => fs.openSync(options.path, openFlags[mode], 0o666)),
    (fd, exit) => closing(writer, { path: options.path, mode, isNew: stats === undefined }, fd, state, exit)
  )
  const content = mode === "append" && stats !== undefined ? yield* inspectFor(writer, fd, stats.size, inspect) : null
  if (content !== null && content.bytes < stats!.size) {
    yield* Effect.logWarning(
      `${writer.sink} ${writer.target}: its last ${
        stats!.size - content.bytes
      } bytes are an incomplete record and will be removed`
    )
  }

  const sync = Effect.callback<void, NodeJS.ErrnoException>((resume) => {
    fs.fdatasync(fd, (error) => resume(error ? Effect.fail(error) : Effect.void))
  })
  // If it were interrupted its failure would be missed: the system reports one only once.
  const syncOrLose = Effect.uninterruptible(Effect.suspend(() => {
    const samples = state.unsynced
    if (samples === 0) return Effect.void
    return Effect.matchEffect(sync, {
      onFailure: (cause) => lose(writer, state, samples, "it could not be forced to disk", cause),
      onSuccess: () => Effect.sync(() => void (state.unsynced -= samples))
    })
  }))
  if (fsync === "interval") {
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(
      Effect.sleep(FSYNC_INTERVAL),
      syncOrLose
    )))
    yield* Effect.addFinalizer(() => syncOrLose)
  }

  const write = (bytes: Uint8Array, samples: number) => {
    const isFirst = state.end < 0
    const expected = isFirst ? stats?.size ?? 0 : state.end
    if (fs.fstatSync(fd).size !== expected && !(isFirst && mode === "overwrite")) {
      throw new Error("another program has written to it; record to a file that no other program writes to")
    }
    if (isFirst) {
      state.end = content?.bytes ?? 0
      fs.ftruncateSync(fd, state.end)
    }
    let written = 0
    try {
      while (written < bytes.length) {
        written += fs.writeSync(fd, bytes, written, bytes.length - written, state.end + written)
      }
    } catch (error) {
      fs.ftruncateSync(fd, state.end)
      throw error
    }
    state.end += written
    state.unsynced += samples
    return written
  }

  return {
    content,
    isFile: true,
    began: () => {
      state.hasBegun = true
    },
    lost: () => state.lost,
    write: (encode, samples) => {
      const { lost } = state
      if (lost !== undefined) {
        const { cause, detail, reason } = lost
        return Effect.fail(new SinkWriteError({ ...writer, samples, reason, detail, cause }))
      }
      const written = Effect.try({
        try: () => write(encode(), samples),
        catch: (cause) => fileWriteError(writer, samples, cause)
      })
      return fsync === "always"
        ? Effect.flatMap(written, (bytes) => {
          state.unsynced = 0
          return Effect.mapError(sync, (cause) => {
            state.end -= bytes
            fs.ftruncateSync(fd, state.end)
            return fileWriteError(writer, samples, cause)
          })
        })
        : Effect.asVoid(written)
    }
  }
})

/** Fails as opening would, and changes nothing. Gives the content of a file that would be appended to, else null. */
export const checkTextFile = Effect.fnUntraced(function*<C extends Content>(
  writer: Writer,
  options: TextFileOptions,
  inspect: Inspect<C>
): Effect.fn.Return<C | null, SinkOpenError> {
  const { mode = "create" } = options
  const attempt = <A>(run: () => A) => Effect.try({ try: run, catch: (cause) => fileOpenError(writer, cause) })

  const stats = yield* attempt(() => fs.statSync(options.path, { throwIfNoEntry: false }))
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

const inspectFor = <C extends Content>(writer: Writer, fd: number, size: number, inspect: Inspect<C>) =>
  Effect.mapError(
    Effect.catchDefect(
      inspect(fd, size),
      (cause) => Effect.fail(messageOf(cause))
    ),
    (found) =>
      new SinkOpenError({
        ...writer,
        reason: "Foreign",
        detail: `${found}. The file was not changed. Repair it, or record to another file`
      })
  )

const closing = (
  writer: Writer,
  { isNew, mode, path }: { readonly path: string; readonly mode: FileMode; readonly isNew: boolean },
  fd: number,
  state: State,
  exit: Exit.Exit<unknown, unknown>
) =>
  Effect.try(() => {
    const { end, hasBegun } = state
    const isUntouched = end < 0
    if (isUntouched && hasBegun && mode === "overwrite" && Exit.isSuccess(exit)) fs.ftruncateSync(fd, 0)
    const isLeftover = isNew && !hasBegun && fs.fstatSync(fd).size === 0 && isAt(path, fd)
    fs.closeSync(fd)
    if (isLeftover) fs.unlinkSync(path)
  }).pipe(
    Effect.andThen(Effect.logInfo(`${writer.sink} closed ${writer.target}`)),
    Effect.catch(({ cause }) => lose(writer, state, state.unsynced, "it could not be closed", cause)),
    Effect.andThen(Effect.suspend(() => state.lost === undefined ? Effect.void : Effect.die(state.lost)))
  )

/** Notes that samples may be lost, and says so at once: the next batch may be far away. */
const lose = (writer: Writer, state: State, samples: number, problem: string, cause: unknown) =>
  Effect.suspend(() => {
    state.unsynced -= samples
    const all = samples + (state.lost?.samples ?? 0)
    const { reason } = fileWriteError(writer, all, cause)
    const detail = `${problem}: ${messageOf(cause)}. Check the disk; these samples may be missing`
    state.lost = new SinkWriteError({ ...writer, samples: all, reason, detail, cause })
    return Effect.logError(state.lost.message)
  })

/** What is said of a file without a complete record that does not begin as the sink's own files do. */
export const FOREIGN_BEGINNING = "it has no complete record and does not begin like a file of this sink"

/** The beginning of a file as text, without the NULs that a power cut leaves behind. */
export const beginningOf = (chunks: ReadonlyArray<Buffer>): string =>
  Buffer.concat(chunks).toString().replace(/\0+$/, "")

/** The bytes of a file up to `size`, in chunks, each with the offset of its first byte. A chunk is valid until the next one. */
export function* chunksOf(fd: number, size: number): Generator<readonly [Buffer, number]> {
  const buffer = Buffer.allocUnsafe(1 << 20)
  for (let offset = 0; offset < size;) {
    const read = fs.readSync(fd, buffer, 0, Math.min(buffer.length, size - offset), offset)
    if (read === 0) return
    yield [buffer.subarray(0, read), offset]
    offset += read
  }
}
